"""Results that belong to nobody yet, and the animals that they may be of."""
