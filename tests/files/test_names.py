"""Names of files: whatever a client says, what is kept is one harmless name."""

from __future__ import annotations

import re
import unicodedata
from email.message import Message

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from antiphon.files.names import MAX_BYTES, disposition, safe_name

_wild = st.text(st.one_of(st.characters(), st.sampled_from("/\\.\x00\n\u202e\u2066\ufeff \ud800é😀")), max_size=400)


@given(_wild)
@example("a" * 254 + " b")
@example("x." + "y" * 300)
@example(" . / .. ")
def test_any_name_becomes_a_safe_one(name: str) -> None:
    """One piece of a path, no longer than a file system takes, nothing unseen in it, never empty; and it stays so."""
    safe = safe_name(name)
    assert 0 < len(safe.encode()) <= MAX_BYTES
    assert not set(safe) & set("/\\")
    assert safe.strip(".")
    assert safe == safe.strip()
    assert not [c for c in safe if unicodedata.category(c) in ("Cc", "Cs", "Zl", "Zp")]
    assert not [c for c in safe if unicodedata.bidirectional(c) in ("RLO", "LRO", "RLE", "LRE", "PDF", "RLI", "LRI")]
    assert safe_name(safe) == safe


@given(_wild)
def test_a_download_gets_the_name_back(name: str) -> None:
    """The header is one line of ASCII; who reads RFC 6266 finds the whole name in it."""
    safe = safe_name(name)
    header = disposition(safe)
    assert header.isascii()
    assert header.isprintable()
    message = Message()
    message["content-disposition"] = header
    assert message.get_content_disposition() == "attachment"
    [extended] = re.findall(r"filename\*=UTF-8''(\S+)$", header)
    assert message.get_filename() is not None
    assert bytes.fromhex(re.sub(r"%(..)|(.)", lambda m: m[1] or f"{ord(m[2]):02x}", extended)).decode() == safe


@pytest.mark.parametrize(
    ("name", "kept"),
    [
        ("a.txt", "a.txt"),
        ("../../etc/passwd", "passwd"),
        ("C:\\Users\\ann\\a.txt", "a.txt"),
        ("docs/", "docs"),
        ("", "file"),
        ("..", "file"),
        ("/", "file"),
        ("\x00\x1f", "file"),
        ("a\x00b\r\nc.txt", "abc.txt"),
        ("exe.\u202etxt.exe", "exe.txt.exe"),
        (".env", ".env"),
        ("naïve 文件 😀.pdf", "naïve 文件 😀.pdf"),
        ("x" * 300 + ".pdf", "x" * 251 + ".pdf"),
        ("é" * 200, "é" * 127),
    ],
)
def test_names(name: str, kept: str) -> None:
    """What stays of a name."""
    assert safe_name(name) == kept
