"""Files and what is in them."""
