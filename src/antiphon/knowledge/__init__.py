"""Vector stores: files cut into chunks, embedded, indexed, and found again."""
