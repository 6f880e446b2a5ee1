"""What comes in: kept, read, filed in versions, and read again."""
