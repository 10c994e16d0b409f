"""File search: a call becomes an item, and what was found becomes words and citations."""
