"""What calling tools costs the server, and whether calls that are made together end together."""
