"""The tool of the documentation is one, and the tests that the page shows for it pass."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

from tests.docs.tree import ROOT


def test_the_page_s_own_tool(tmp_path: Path) -> None:
    """Both of its files as they stand, run by pytest."""
    page = (ROOT / "docs" / "tools.md").read_text("utf-8").partition("## A tool of your own")[2]
    tool, tests = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    (tmp_path / "my_tools.py").write_text(tool)
    (tmp_path / "test_my_tools.py").write_text(tests)
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "test_my_tools.py"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "8 passed" in done.stdout
