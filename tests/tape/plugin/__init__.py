"""The pytest plugin, in real pytest runs of its own."""
