"""How well what is asked for is found: ``make bench-retrieval``."""
