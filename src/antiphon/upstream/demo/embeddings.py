"""The demo model's embeddings: hashed words on a unit sphere, so that texts which share words are near each other."""

from __future__ import annotations

import base64
import hashlib
import math
import re
import struct

DIMENSIONS = 256
_WORD = re.compile(r"\w+")


def embed(text: str, dimensions: int = DIMENSIONS) -> list[float]:
    """A vector of length 1. Every word, and weaker every word's beginning, adds to one coordinate."""
    vector = [0.0] * dimensions
    words = _WORD.findall(text.lower())
    for word in words or [""]:
        for feature, weight in ((word, 1.0), (word[:4] + "~", 0.4)):
            digest = hashlib.blake2b(feature.encode(), digest_size=8).digest()
            number = int.from_bytes(digest, "little")
            vector[(number >> 1) % dimensions] += weight if number & 1 else -weight
    length = math.sqrt(sum(x * x for x in vector))
    if length == 0.0:  # features that cancel each other out
        vector[0], length = 1.0, 1.0
    return [x / length for x in vector]


def as_base64(vector: list[float]) -> str:
    """Little-endian 32-bit floats, as the API packs them."""
    return base64.b64encode(struct.pack(f"<{len(vector)}f", *vector)).decode()
