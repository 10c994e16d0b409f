"""Clients of the test process on the tape, against real loopback servers."""
