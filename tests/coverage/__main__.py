"""``python -m tests.coverage > docs/coverage.md``."""

from __future__ import annotations

import sys

from tests.coverage.table import as_markdown, claims

sys.stdout.write(as_markdown(claims()))
