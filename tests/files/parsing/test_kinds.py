"""What comes of a file of each kind, well made, badly made, and made to deceive."""

from __future__ import annotations

import re
import struct

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from antiphon.files.parsing import Parsed, Unparsable
from antiphon.files.parsing.charset import clean, decoded
from tests.files.parsing.conftest import Read
from tests.files.parsing.documents import EACH, docx, docx_files, overlapping, pdf, zipped

#: How the reading of any file may end, but never by our fault.
ENDS = ("", "invalid_file", "unsupported_file")
PNG = b"\x89PNG\r\n\x1a\n" + bytes(64)
WORDS = st.text(st.characters(exclude_categories=("Cs", "Cc", "Cf", "Cn", "Co", "Zl", "Zp")), min_size=1)


@pytest.mark.parametrize("suffix", EACH)
def test_each_kind_is_text(read: Read, suffix: str) -> None:
    """Under its own name, and under one that says nothing: what is in it decides."""
    for name in (f"a.{suffix}", "a", "A.BIN"):
        assert "zebra" in read(EACH[suffix], name).text


def test_pages(read: Read) -> None:
    """Pages and slides are told apart; the text is all of them."""
    for content, second in ((EACH["pdf"], "Second page"), (EACH["pptx"], "Second slide")):
        parsed = read(content)
        assert parsed.pages == ("A zebra crossing", second)
        assert parsed.text == f"A zebra crossing\n\n{second}"
    assert read(EACH["docx"]).pages is None


def test_forms_that_help(read: Read) -> None:
    """Tables and headings stay what they are; a page's title comes first, its scripts and menus do not come."""
    assert read(EACH["xlsx"]).text.splitlines()[2:] == ["| animal | stripes |", "| --- | --- |", "| zebra | many |"]
    page = (
        b"<html><head><title>T &amp; t</title><meta name=d content=x></head><body><nav>menu</nav><form>In a form</form>"
    )
    page += b'<script>evil()</script><img alt="A picture" src="data:image/png;base64,AAAA"><h2>H</h2>'
    text = read(page, "a.html").text
    assert text.split() == ["T", "&", "t", "In", "a", "form", "A", "picture", "##", "H"]
    # What is written is not read as something else.
    assert read(b"<html><p>x</p>", "a.md").text == "<html><p>x</p>"


def test_a_long_document(read: Read) -> None:
    """500 pages, each with its own words, in their order."""
    parsed = read(pdf(*(f"Page {n} is about topic{n}." for n in range(500))))
    assert parsed.pages is not None
    assert [re.findall(r"topic(\d+)", page) for page in parsed.pages] == [[str(n)] for n in range(500)]


def test_a_scan_has_no_text(read: Read) -> None:
    """It is not an error here: whoever needs text says so, and who can look at pages may."""
    assert read(pdf("")) == Parsed("", ("",))
    assert read(b"") == Parsed("")


def test_macros_are_not_text(read: Read) -> None:
    """A document with macros is read as if it had none."""
    files = docx_files(["A zebra crossing"])
    types = str(files["[Content_Types].xml"]).replace(
        "application/vnd.openxmlformats-officedocument.wordprocessingml.document.main+xml",
        "application/vnd.ms-word.document.macroEnabled.main+xml",
    )
    macro = b"Attribute VB_Name = evil: Shell(calc)"
    content = zipped({**files, "[Content_Types].xml": types, "word/vbaProject.bin": macro})
    for name in ("a.docm", "a.docx"):
        assert read(content, name).text.strip() == "A zebra crossing"


# -- text


@given(WORDS, st.sampled_from(["utf-8", "utf-8-sig", "utf-16", "utf-32"]))
@example("\ufffd", "utf-8")
@example("\ufffd", "utf-16")
def test_unicode_is_read_back(text: str, charset: str) -> None:
    """Whatever is written in a form of Unicode that says so, or in UTF-8, is read as it was."""
    assert decoded(text.encode(charset)) == clean(text)


@given(st.text(), st.binary())
def test_text_is_clean(text: str, data: bytes) -> None:
    """What is read can be stored: no NUL, no half characters, one kind of line ends."""
    for one in (clean(text), clean(data.decode("latin-1"))):
        assert "\0" not in one
        assert "\r" not in one
        one.encode()


@pytest.mark.parametrize(
    ("charset", "text"),
    [
        ("cp1252", "Das Café „Zum Löwen“ – für 5 €, naïve."),
        ("utf-16-le", "Plain words of UTF-16 without a mark."),
        ("utf-16-be", "Plain words of UTF-16 without a mark."),
        ("shift_jis", "これは日本語のテキストです。文字コードを推測します。"),
        ("cp1251", "Это обычный русский текст, написанный в старой кодировке, без всяких пометок."),
        ("gb18030", "这是一个用中文写的普通文本文件，没有任何编码标记，需要猜测。"),
    ],
)
def test_old_charsets(read: Read, charset: str, text: str) -> None:
    """They are recognised by what they say."""
    assert read(text.encode(charset), "a.txt").text == text


def test_a_charset_that_is_declared(read: Read) -> None:
    """XML and HTML name theirs."""
    assert "Łódź" in read('<?xml version="1.0" encoding="iso-8859-2"?><a>Łódź</a>'.encode("iso-8859-2"), "a.xml").text
    page = '<html><head><meta charset="koi8-r"></head><body>Привет'.encode("koi8-r")
    assert read(page, "a.html").text == "Привет"
    # A name of a codec that is no charset is nothing.
    assert "abc" in read(b'<?xml version="1.0" encoding="rot13"?>abc \xff', "a.xml").text


# -- what is refused


def refused(read: Read, content: bytes, name: str = "a") -> Unparsable:
    with pytest.raises(Unparsable) as caught:
        read(content, name)
    assert "/dev/" not in caught.value.message
    return caught.value


def code_of(read: Read, content: bytes, name: str = "a") -> str:
    """The code of the refusal; empty for what is read."""
    try:
        read(content, name)
    except Unparsable as why:
        return why.code
    return ""


@pytest.mark.parametrize(
    ("content", "what"),
    [
        (PNG, "a PNG image"),
        (b"\xff\xd8\xff\xe0JFIF", "a JPEG image"),
        (b"\x7fELF" + bytes(60), "a program"),
        (b"\x1f\x8b\x08" + bytes(60), "a gzip archive"),
        (zipped({"a.txt": "x"}), "a zip archive, and none of a document"),
        (bytes(range(256)) * 4, "neither text nor a document"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(600), "an old Office format"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
@pytest.mark.parametrize("name", ["a.pdf", "a.docx", "a.txt"])
def test_other_kinds(read: Read, content: bytes, what: str, name: str) -> None:
    """A picture is no document, whatever it is called; who sent it is told what it is, and what can be read."""
    why = refused(read, content, name)
    assert why.code == "unsupported_file"
    assert what in why.message
    assert "PDF, docx, pptx, xlsx" in why.message


def test_locked_files(read: Read) -> None:
    """A password is what is told, and nothing else."""
    office = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(600) + "EncryptedPackage".encode("utf-16-le")
    packed = bytearray(docx("x"))
    for mark, at in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        for found in re.finditer(re.escape(mark), bytes(packed)):
            packed[found.start() + at] |= 1
    for content in (office, bytes(packed), pdf("x", encrypted=True)):
        why = refused(read, content)
        assert (why.code, "password" in why.message) == ("invalid_file", True)


@pytest.mark.parametrize("suffix", ["pdf", "docx", "pptx", "xlsx"])
def test_files_that_break_off(read: Read, suffix: str) -> None:
    """However much is there of a file, it is read or refused, and the next one is read."""
    whole = EACH[suffix]
    for part in (1, 2, 3, 5, 7):
        assert code_of(read, whole[: len(whole) * part // 8], f"a.{suffix}") in ENDS
    assert refused(read, whole[: len(whole) // 2], f"a.{suffix}").code == "invalid_file"
    assert "zebra" in read(whole, f"a.{suffix}").text


@settings(max_examples=25)
@given(st.sampled_from(sorted(EACH)), st.data())
def test_damage(read: Read, suffix: str, data: st.DataObject) -> None:
    """Whatever bytes of a file are others: it is read or refused, and nothing else happens."""
    content = bytearray(EACH[suffix])
    for _ in range(data.draw(st.integers(1, 8))):
        at = data.draw(st.integers(0, len(content) - 1))
        content[at : at + data.draw(st.integers(1, 4))] = data.draw(st.binary(max_size=6))
    assert code_of(read, bytes(content), f"a.{suffix}") in ENDS


@pytest.mark.parametrize(
    "name",
    [
        "../../etc/passwd",
        "/etc/passwd",
        "a\0.pdf",
        "$(touch x).pdf",
        "-o.pdf",
        "",
        ".",
        "\udcff.pdf",
        "ä" * 5000,
        "\u202efdp.exe",
        "a.pdf\n.txt",
        "CON",
    ],
)
def test_names_are_only_names(read: Read, name: str) -> None:
    """Nothing is opened, run or lost because of one."""
    assert read(EACH["pdf"], name).text.startswith("A zebra")
    assert read(EACH["md"], name).text.endswith("A zebra.\n")


# -- bombs


def test_a_bomb_that_says_so(read: Read) -> None:
    """What unpacks to more than is allowed is not unpacked."""
    bomb = zipped({**docx_files(["x"]), "word/media/a.bin": bytes(65 * 1024 * 1024)})
    assert len(bomb) < 100_000
    why = refused(read, bomb)
    assert (why.code, "files.parsing.max_unpacked_bytes" in why.message) == ("invalid_file", True)


def test_a_bomb_that_lies(read: Read) -> None:
    """A part that is larger than it says is found out."""
    bomb = bytearray(zipped({**docx_files(["x"]), "word/media/a.bin": bytes(5_000_000)}))
    for mark, at in ((b"PK\x03\x04", 22), (b"PK\x01\x02", 24)):
        place = list(re.finditer(re.escape(mark), bytes(bomb)))[-1].start()
        assert struct.unpack_from("<I", bomb, place + at) == (5_000_000,)
        struct.pack_into("<I", bomb, place + at, 10)
    assert "larger than it says" in refused(read, bytes(bomb)).message


def test_a_bomb_of_many_files(read: Read) -> None:
    """There is a limit on their number."""
    bomb = zipped({**docx_files(["x"]), **{f"f{n}": "" for n in range(100)}})
    assert "files.parsing.max_entries" in refused(read, bomb).message


def test_a_bomb_that_overlaps(read: Read) -> None:
    """Many names for the same packed bytes count each time."""
    bomb = overlapping({**docx_files(["x"]), "word/media/a.bin": bytes(2_000_000)}, 40)
    assert "max_unpacked_bytes" in refused(read, bomb).message


def test_entities_do_not_grow(read: Read) -> None:
    """XML that would grow a thousandfold stays what it is."""
    lol = "".join(f'<!ENTITY l{n + 1} "{f"&l{n};" * 10}">' for n in range(9))
    document = f'<?xml version="1.0"?><!DOCTYPE x [<!ENTITY l0 "lol">{lol}]>'
    files = docx_files(["A zebra &l9; crossing"])
    content = zipped({**files, "word/document.xml": document + str(files["word/document.xml"])})
    assert code_of(read, content) == "invalid_file" or len(read(content).text) < 1_000
