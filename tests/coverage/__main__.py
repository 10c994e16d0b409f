"""``python -m tests.coverage`` writes ``docs/coverage.md``."""

from __future__ import annotations

from tests.coverage.table import PAGE, as_markdown, claims

PAGE.write_text(as_markdown(claims()))
