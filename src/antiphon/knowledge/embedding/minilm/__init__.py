"""The embedding model that comes along: all-MiniLM-L6-v2. Its numbers are a package's, its network is computed here."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from antiphon.knowledge.embedding.minilm.model import MiniLM


def load() -> MiniLM:
    """Takes a tenth of a second, and 100 MB. Raises ``weights.Missing``."""
    from antiphon.knowledge.embedding.minilm import weights
    from antiphon.knowledge.embedding.minilm.model import MiniLM

    vocabulary = Path(__file__).with_name("vocabulary.txt").read_text(encoding="utf-8")
    return MiniLM(weights.load(weights.path()), vocabulary.splitlines())
