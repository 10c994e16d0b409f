"""What the index of chunks costs, on both databases: ``make bench-index``."""
