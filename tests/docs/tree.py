"""The repository as files, and the code blocks of its pages."""

from __future__ import annotations

import re
import subprocess
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]

_BLOCK = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_IGNORED = {".venv", ".git", "__pycache__", "data", "dist", "build", ".hypothesis"}


@cache
def files() -> tuple[Path, ...]:
    """Every file that is, or would be, committed."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"],
        cwd=ROOT,
        capture_output=True,
        check=False,
    )
    if listed.returncode == 0:
        found = [ROOT / name for name in listed.stdout.decode().split("\0") if name]
    else:  # a copy without its history
        found = [
            path
            for path in ROOT.rglob("*")
            if not any(part in _IGNORED or part.endswith("_cache") for part in path.relative_to(ROOT).parts)
            and not path.relative_to(ROOT).parts[0].startswith(".venv")
        ]
    return tuple(sorted(path for path in found if path.is_file()))


def read(name: str) -> str:
    """The text of a file of the repository."""
    return (ROOT / name).read_text("utf-8")


def blocks(page: str, language: str) -> list[str]:
    """The code blocks of one language, in order."""
    return [text for found, text in _BLOCK.findall(read(page)) if found == language]
