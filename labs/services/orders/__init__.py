"""Orders: placed, kept in the outbox, given up, and the state of a request."""
