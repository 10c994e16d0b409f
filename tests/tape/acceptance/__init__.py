"""The acceptance tests of the recorder, by number. What each proves, and what the rooms' own tests add: README.md."""
