"""Jobs: work that is owed, and survives whoever began it."""
