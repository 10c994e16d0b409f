"""Work that is owed and survives whoever began it: a table of jobs, and workers that carry them out."""
