"""Values and how they are read beside earlier ones and ranges."""
