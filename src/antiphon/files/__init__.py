"""Files that clients upload, and what can be read in them."""
