"""Animals and their owners: written by hand, by file, merged."""
