"""Documents become text, whatever is in them."""
