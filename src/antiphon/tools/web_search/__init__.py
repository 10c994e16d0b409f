"""Web search: a provider is asked, pages are read, and the model cites what it found.

A kit like any other (``tools.base``). ``providers`` are pure; what goes out goes through the one door, pages through
the guards of ``upstream/fetch``.
"""

from __future__ import annotations

from antiphon.tools.web_search.kit import WebSearchKit

__all__ = ["WebSearchKit"]
