"""The laws of the wire, seen from outside: a real server, raw sockets on both sides of it."""
