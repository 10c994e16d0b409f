"""File search: vector stores are asked, and the model cites the files that it read.

A kit like any other (``tools.base``). It asks the stores of this server through a small protocol, and every search goes
out as a call, so that a recording answers without a store.
"""

from __future__ import annotations

from antiphon.tools.file_search.kit import FileSearchKit

__all__ = ["FileSearchKit"]
