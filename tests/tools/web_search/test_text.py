"""From bytes to text, and pieces of text: whatever the bytes."""

from __future__ import annotations

import subprocess
import sys
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from antiphon.tools.web_search.extract import MAX_HTML, NotText, decoded, page
from antiphon.tools.web_search.passages import AROUND, beginning, find, fitting
from antiphon.tools.web_search.visible import visible_text

TAGS = (
    "<p> </p> <div> </div> <script> </script> <style> </style> <head> </head> <body> <nav> </nav> <li> <h2> </h2> <br> "
    "<!-- --> <![CDATA[ ]]> &amp; &#0; &#xD800; <title> </title> <table> <td> < > <svg> </svg> <template>"
)
TAG = st.sampled_from(TAGS.split())
SOUP = st.lists(TAG | st.text("ab ", max_size=5), max_size=40).map("".join)
CHARSET = st.sampled_from(
    ["utf-8", "latin-1", "utf-16", "punycode", "idna", "hex", "rot13", "nonsense", "unicode_escape", "big5"]
)


@settings(max_examples=150)
@given(st.binary(max_size=200) | SOUP.map(str.encode), st.sampled_from(["text/html", "text/plain", "x/y"]), CHARSET)
def test_any_bytes_are_text_or_not(content: bytes, kind: str, charset: str) -> None:
    """Nothing but ``NotText`` is ever raised, and the text can be sent."""
    try:
        got = page(content, kind, charset)
    except NotText:
        assert kind == "x/y" or content.startswith(b"%PDF-")
    else:
        (got.title + got.text).encode()


@given(
    st.lists(st.text("abc xyz", min_size=1, max_size=20), max_size=8), st.sampled_from(["p", "div", "li", "td", "h3"])
)
def test_every_block_is_a_line(blocks: list[str], tag: str) -> None:
    """What a reader sees comes in order, one line a block, blanks folded."""
    source = "<body>" + "".join(f"<{tag}>{block}<script>no</script></{tag}>\n" for block in blocks)
    mark = {"li": "- ", "h3": "### "}.get(tag, "")
    assert visible_text(source).splitlines() == [mark + " ".join(block.split()) for block in blocks if block.strip()]


def test_what_is_around_is_left_out_unless_it_is_all() -> None:
    """Navigation and footers go, where there is anything else."""
    assert visible_text("<nav>Menu</nav><p>Text</p><footer>Imprint</footer>") == "Text"
    assert visible_text("<nav>Menu</nav>") == "Menu"


@given(st.text(max_size=50), st.sampled_from(["utf-8", "utf-16", "cp1251", "euc-jp"]))
def test_a_byte_order_mark_wins(text: str, said: str) -> None:
    """What the file itself begins with is truer than what is said of it."""
    assert decoded(b"\xef\xbb\xbf" + text.encode("utf-8", "ignore"), said) == text.encode("utf-8", "ignore").decode()


@pytest.mark.parametrize(
    "unit",
    [
        "<div>",
        "<p>word ",
        "<table><tr><td>",
        "<",
        "</",
        "<a href=",
        "&",
        "<!--",
        "<b><i>",
        "<title>",
        "<script>",
        "<svg",
    ],
)
def test_hostile_pages_take_no_longer(unit: str) -> None:
    """Deep nesting and things without end are read in time that grows with their size, not its square."""
    start = time.process_time()
    visible_text(unit * (MAX_HTML // len(unit) // 4))
    page((unit * (30_000 // len(unit))).encode(), "text/html", None)
    assert time.process_time() - start < 8


def test_a_giant_page_is_read_in_part() -> None:
    """And says that it is not whole; without the parser that takes seconds."""
    start = time.process_time()
    long = b"<p>" + b"word " * 1_000
    many = b"".join(b"<p>word %d</p>" % n for n in range(50_000))
    got = page(many + long * (MAX_HTML // len(long) + 1), "text/html", None)
    assert not got.whole
    assert "word" in got.text
    assert time.process_time() - start < 3


def test_the_main_text_is_found() -> None:
    """What is around it in elements that say nothing goes too, and tables stay tables."""
    pytest.importorskip("trafilatura")
    around = (
        '<div class="sidebar"><ul><li><a href="/a">Related</a></li></ul></div><div id="cookie-banner">Cookies</div>'
    )
    body = "".join(f"<p>Paragraph {n} says something of its own, and says it at some length.</p>" for n in range(9))
    table = "<table><tr><th>Name</th><th>Size</th></tr><tr><td>one</td><td>1</td></tr></table>"
    got = page(f"<body>{around}<article><h1>Head</h1>{body}{table}</article></body>".encode(), "text/html", None)
    assert "Cookies" not in got.text
    assert "Related" not in got.text
    assert "| one | 1 |" in got.text


def test_pages_are_read_without_trafilatura(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where it is not installed, everything that can be seen is taken."""
    monkeypatch.setitem(sys.modules, "trafilatura", None)
    got = page(b"<title>T</title><nav>Menu</nav><h1>Head</h1><p>Text</p>", "text/html", None)
    assert (got.title, got.text) == ("T", "# Head\nText")


def test_nothing_heavy_is_loaded_with_the_kit() -> None:
    """The parsers of pages are loaded by the first page."""
    heavy = "{'trafilatura', 'lxml', 'justext', 'htmldate', 'courlan'}"
    code = f"import sys, antiphon.tools.web_search; print({heavy} & set(sys.modules))"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert found.stdout.strip() == "set()"


TEXT = st.text("aAb \n", max_size=3_000)


WORDS = st.tuples(st.sampled_from(["needle", "Needle", "hay", "straw"]), st.sampled_from([1, 1, 2, 150, 400]))


@given(st.lists(WORDS, max_size=20), st.integers(1, 3))
def test_every_place_is_counted_and_shown_in_its_surroundings(words: list[tuple[str, int]], most: int) -> None:
    """As often as the words are there; no more passages than asked for, each with the words in it and not too long."""
    text = " ".join(word for word, times in words for _ in range(times))
    count, passages = find(text, "NEEDLE", most)
    assert count == text.lower().count("needle")
    assert len(passages) <= most
    assert bool(passages) is bool(count)
    for passage in passages:
        assert "needle" in passage.lower()
        assert len(passage) <= 5 * AROUND
        assert passage in text


def test_blanks_and_signs_are_taken_as_they_are() -> None:
    """A phrase is found across lines, and no sign of it has a meaning."""
    assert find("one\n  two (c++)", "one two (C++)", 3) == (1, ["one two (c++)"])
    assert find("anything", ".*", 3) == (0, [])
    assert find("anything", "  ", 3) == (0, [])


@given(TEXT, st.integers(0, 3_000))
def test_a_beginning_is_one(text: str, most: int) -> None:
    """Never longer than allowed, never something else, and not much shorter than it might be."""
    cut = beginning(text, most)
    assert text.startswith(cut)
    assert len(cut) <= most
    assert cut == text or len(cut) >= len(text[:most].rstrip()) * 0.8 - 1 or not text[:most].strip()


@given(st.text(max_size=200), st.integers(-5, 300))
def test_what_fits_is_a_beginning(text: str, size: int) -> None:
    """In bytes, and whole characters."""
    cut = fitting(text, size)
    assert len(cut.encode()) <= max(0, size)
    assert text.startswith(cut)
