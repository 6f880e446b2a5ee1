"""Animals, their owners, and what is held on them."""
