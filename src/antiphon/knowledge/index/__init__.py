"""Where chunks are kept and found: exact vectors, words, and both together."""
