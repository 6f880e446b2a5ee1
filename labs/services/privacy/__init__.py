"""What is emptied, erased and forgotten."""
