"""Tools that the server itself runs. ``base`` says what a tool is; each kind has its own room and knows no other."""
