"""The tests of the canonical form."""
