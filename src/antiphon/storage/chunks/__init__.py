"""What vector stores hold: the chunks of their files, their words and their vectors."""
