"""Jobs: workers that share them, lose them, give them back and die."""
