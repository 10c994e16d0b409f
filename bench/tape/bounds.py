"""The bounds of the tape, in one place. A figure above one fails the run."""

from __future__ import annotations

#: CPU that a replayed call adds in the client's own process, at every number of recordings. Microseconds.
REPLAY_US = 300.0
#: To have INDEX_FILES recordings at hand: with no index kept from before, and with one.
INDEX_FILES = 3161
COLD_MS = 1500.0
WARM_MS = 150.0
#: What recording adds to the first token of a stream. Milliseconds.
FIRST_TOKEN_MS = 20.0
#: Bytes on disk for each chunk of the recorded streams, and of those with LONG chunks or more.
CHUNK_BYTES = 70.0
LONG_CHUNK_BYTES = 20.0
LONG = 100
