"""What this integration changes: orders out (`delivery`), messages in (`filing`)."""
