"""Kill -9 at random moments under load: whatever a client was told is there afterwards, and nothing is half there."""
