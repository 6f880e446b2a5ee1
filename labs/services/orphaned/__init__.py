"""Results that belong to nobody yet: whose they are, and taking it back."""
