"""What stands where a secret stood."""

from __future__ import annotations

import re

#: Numbered within an exchange, or named by the variable that held it. No character of it needs escaping in JSON, at any
#: depth of nesting.
PLACEHOLDER = re.compile(r"<secret:(\d{1,6})>|\{\{env:([A-Za-z_][A-Za-z0-9_]*)\}\}")
