"""Vector stores: their rows, their files' and the chunks of those."""
