"""What waits, for everybody."""
