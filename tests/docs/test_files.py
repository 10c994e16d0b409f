"""What no committed file may hold, and what the pages may point at."""

from __future__ import annotations

import re
import stat
from pathlib import Path

import pytest

from tests.docs.tree import ROOT, files, read

#: Put together here, so that this file does not hold what it looks for.
REGISTRIES = (("pypi", "org"), ("pythonhosted", "org"), ("npmjs", "org"), ("deb.debian", "org"))
HOSTS = re.compile("|".join(re.escape(".".join(parts)) for parts in REGISTRIES))
PLACES = re.compile(r"(?<![\w.~}\-])/" + r"(?:tmp|work|root|home)" + r"/")

PAGES = [path for path in files() if path.suffix == ".md"]


def texts() -> list[tuple[str, str]]:
    """Each file of text with its name."""
    out = []
    for path in files():
        raw = path.read_bytes()
        if b"\0" not in raw[:8192]:
            out.append((str(path.relative_to(ROOT)), raw.decode("utf-8")))
    return out


def test_there_are_files() -> None:
    """The search has something to search."""
    assert len(files()) > 50
    assert PAGES


@pytest.mark.parametrize(
    ("what", "pattern"), [("the host of a package registry", HOSTS), ("a place on one machine", PLACES)]
)
def test_no_file_names(what: str, pattern: re.Pattern[str]) -> None:
    """Locks and pages hold for everyone: no registry's host, no path of somebody's machine."""
    found = [
        f"{name}:{number}: {line.strip()[:100]}"
        for name, text in texts()
        for number, line in enumerate(text.splitlines(), 1)
        if pattern.search(line)
    ]
    assert not found, f"{what}: " + "; ".join(found)


@pytest.mark.parametrize("name", ["runtime", "test", "lint", "build", "uv", "bench-tape"])
def test_requirements_are_pinned_with_hashes(name: str) -> None:
    """Every requirement has one version and at least one hash, and comes from no place of its own."""
    entries = re.split(r"\n(?=\S)", re.sub(r"^#.*\n", "", read(f"requirements/{name}.txt"), flags=re.MULTILINE).strip())
    for entry in entries:
        assert re.match(r"[a-z0-9._-]+==[^\s;]+ ", entry), entry
        assert "--hash=sha256:" in entry, entry
    assert "://" not in read(f"requirements/{name}.txt")


def test_pins_agree() -> None:
    """A package that stands in several files has one version, on each version of Python."""
    versions: dict[str, set[str]] = {}
    for path in (ROOT / "requirements").glob("*.txt"):
        for name, version, marker in re.findall(
            r"^([a-z0-9._-]+)==([^\s;]+)([^\\\n]*)", path.read_text("utf-8"), re.MULTILINE
        ):
            python = " ".join(re.findall(r"python_full_version [^a-z]*", marker))
            versions.setdefault(f"{name} {python}", set()).add(version)
    assert {name: found for name, found in versions.items() if len(found) > 1} == {}


@pytest.mark.parametrize("page", PAGES, ids=lambda path: path.name)
def test_links_lead_somewhere(page: Path) -> None:
    """A relative link of a page is a file of the repository."""
    committed = set(files())
    for target in re.findall(r"\]\(([^)#\s]+)", page.read_text("utf-8")):
        if "://" not in target:
            path = (page.parent / target).resolve()
            assert path in committed or path.is_dir(), f"{page.name} points at {target}"


def test_ci_can_be_run() -> None:
    """The script of the CI is executable."""
    assert (ROOT / ".ci" / "run").stat().st_mode & stat.S_IXUSR


def test_the_licence_is_whole() -> None:
    """The licence file is the unabridged Apache License 2.0."""
    text = read("LICENSE")
    assert "Apache License" in text
    assert "Version 2.0, January 2004" in text
    assert "END OF TERMS AND CONDITIONS" in text
    assert len(text.splitlines()) > 195
