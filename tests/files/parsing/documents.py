"""Documents of every kind, written here: as small as they can be, or as large and as odd as a test wants them."""

from __future__ import annotations

import io
import struct
import zipfile
from collections.abc import Iterable, Mapping, Sequence

_OOXML = "http://schemas.openxmlformats.org"
_WORD = f'xmlns:w="{_OOXML}/wordprocessingml/2006/main"'
_SHEET = f'xmlns="{_OOXML}/spreadsheetml/2006/main"'
_SLIDES = f'xmlns:p="{_OOXML}/presentationml/2006/main" xmlns:a="{_OOXML}/drawingml/2006/main"'
_REFERENCES = f'xmlns:r="{_OOXML}/officeDocument/2006/relationships"'
_TYPES = f"{_OOXML}/officeDocument/2006/relationships"


def zipped(files: Mapping[str, str | bytes], level: int = 6) -> bytes:
    """A zip archive."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED, compresslevel=level) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return out.getvalue()


def overlapping(files: Mapping[str, str | bytes], times: int) -> bytes:
    """A zip archive whose last file is in it so many times, packed once."""
    data = zipped(files)
    end = data.rindex(b"PK\x05\x06")
    start = int.from_bytes(data[end + 16 : end + 20], "little")
    directory = data[start:end] + data[data.rindex(b"PK\x01\x02") : end] * (times - 1)
    count = len(files) + times - 1
    last = struct.pack("<4s4H2IH", b"PK\x05\x06", 0, 0, count, count, len(directory), start, 0)
    return data[:start] + directory + last


def docx_files(paragraphs: Iterable[str]) -> dict[str, str | bytes]:
    """What is packed into a docx."""
    body = "".join(f"<w:p><w:r><w:t>{text}</w:t></w:r></w:p>" for text in paragraphs)
    return {
        "[Content_Types].xml": _content_types({"word/document.xml": "wordprocessingml.document.main"}),
        "_rels/.rels": _relations({"rId1": ("officeDocument", "word/document.xml")}),
        "word/document.xml": f"<w:document {_WORD}><w:body>{body}</w:body></w:document>",
    }


def docx(*paragraphs: str) -> bytes:
    """A text document."""
    return zipped(docx_files(paragraphs))


def xlsx(rows: Sequence[Sequence[str]]) -> bytes:
    """A sheet of words."""
    cells = "".join(
        f'<row r="{y}">'
        + "".join(f'<c r="{chr(65 + x)}{y}" t="inlineStr"><is><t>{cell}</t></is></c>' for x, cell in enumerate(row))
        + "</row>"
        for y, row in enumerate(rows, 1)
    )
    return zipped(
        {
            "[Content_Types].xml": _content_types(
                {
                    "xl/workbook.xml": "spreadsheetml.sheet.main",
                    "xl/worksheets/sheet1.xml": "spreadsheetml.worksheet",
                }
            ),
            "_rels/.rels": _relations({"rId1": ("officeDocument", "xl/workbook.xml")}),
            "xl/workbook.xml": f"<workbook {_SHEET} {_REFERENCES}>"
            '<sheets><sheet name="Figures" sheetId="1" r:id="rId1"/></sheets></workbook>',
            "xl/_rels/workbook.xml.rels": _relations({"rId1": ("worksheet", "worksheets/sheet1.xml")}),
            "xl/worksheets/sheet1.xml": f"<worksheet {_SHEET}><sheetData>{cells}</sheetData></worksheet>",
        }
    )


def pptx(*slides: str) -> bytes:
    """A slide for each text."""
    shape = "<p:sp><p:nvSpPr/><p:spPr/><p:txBody><a:bodyPr/><a:p><a:r><a:t>{}</a:t></a:r></a:p></p:txBody></p:sp>"
    numbers = range(1, len(slides) + 1)
    listed = "".join(f'<p:sldId id="{255 + n}" r:id="rId{n}"/>' for n in numbers)
    files: dict[str, str | bytes] = {
        "[Content_Types].xml": _content_types(
            {
                "ppt/presentation.xml": "presentationml.presentation.main",
                **{f"ppt/slides/slide{n}.xml": "presentationml.slide" for n in numbers},
            }
        ),
        "_rels/.rels": _relations({"rId1": ("officeDocument", "ppt/presentation.xml")}),
        "ppt/presentation.xml": f"<p:presentation {_SLIDES} {_REFERENCES}>"
        f"<p:sldIdLst>{listed}</p:sldIdLst></p:presentation>",
        "ppt/_rels/presentation.xml.rels": _relations({f"rId{n}": ("slide", f"slides/slide{n}.xml") for n in numbers}),
    }
    for n, text in enumerate(slides, 1):
        tree = f"<p:cSld><p:spTree>{shape.format(text)}</p:spTree></p:cSld>"
        files[f"ppt/slides/slide{n}.xml"] = f"<p:sld {_SLIDES}>{tree}</p:sld>"
    return zipped(files)


def pdf(*pages: str, encrypted: bool = False) -> bytes:
    """A page for each text; an empty one has no text at all, as a scan has none."""
    objects = ["<</Type/Catalog/Pages 2 0 R>>", ""]
    kids = []
    for text in pages:
        content = f"BT /F1 12 Tf 72 720 Td ({text}) Tj ET" if text else "0 0 m 9 9 l S"
        at = len(objects) + 1
        kids.append(f"{at} 0 R")
        font = "<</Font<</F1<</Type/Font/Subtype/Type1/BaseFont/Helvetica>>>>>>"
        objects.append(f"<</Type/Page/Parent 2 0 R/MediaBox[0 0 612 792]/Resources{font}/Contents {at + 1} 0 R>>")
        objects.append(f"<</Length {len(content)}>>stream\n{content}\nendstream")
    objects[1] = f"<</Type/Pages/Count {len(pages)}/Kids[{' '.join(kids)}]>>"
    out, places = bytearray(b"%PDF-1.4\n"), []
    for n, one in enumerate(objects, 1):
        places.append(len(out))
        out += f"{n} 0 obj\n{one}\nendobj\n".encode()
    table = "".join(f"{place:010} 00000 n \n" for place in places)
    lock = f"/Encrypt<</Filter/Standard/V 1/R 2/P -1/O<{'41' * 32}>/U<{'42' * 32}>>>/ID[<41><41>]" if encrypted else ""
    trailer = f"<</Size {len(objects) + 1}/Root 1 0 R{lock}>>"
    end = f"trailer\n{trailer}\nstartxref\n{len(out)}\n%%EOF"
    return bytes(out) + f"xref\n0 {len(objects) + 1}\n0000000000 65535 f \n{table}{end}".encode()


def _content_types(parts: Mapping[str, str]) -> str:
    kind = "application/vnd.openxmlformats-officedocument"
    listed = "".join(f'<Override PartName="/{name}" ContentType="{kind}.{what}+xml"/>' for name, what in parts.items())
    default = '<Default Extension="rels" ContentType="application/vnd.openxmlformats-package.relationships+xml"/>'
    return f'<Types xmlns="{_OOXML}/package/2006/content-types">{default}{listed}</Types>'


def _relations(targets: Mapping[str, tuple[str, str]]) -> str:
    listed = "".join(
        f'<Relationship Id="{key}" Type="{_TYPES}/{kind}" Target="{target}"/>'
        for key, (kind, target) in targets.items()
    )
    return f'<Relationships xmlns="{_OOXML}/package/2006/relationships">{listed}</Relationships>'


#: One of each kind, by suffix; each says ``zebra``.
EACH: dict[str, bytes] = {
    "pdf": pdf("A zebra crossing", "Second page"),
    "docx": docx("A zebra crossing", "Second paragraph"),
    "pptx": pptx("A zebra crossing", "Second slide"),
    "xlsx": xlsx([["animal", "stripes"], ["zebra", "many"]]),
    "rtf": rb"{\rtf1\ansi A zebra crossing.\par Second.}",
    "html": b"<!doctype html><html><head><title>Stripes</title></head><body><h1>On zebras</h1><p>A zebra.</p></body>",
    "md": b"# Animals\n\nA zebra.\n",
    "csv": b"animal,stripes\nzebra,many\n",
    "json": b'{"animal": "zebra"}',
    "py": b"def zebra() -> None:\n    pass\n",
}
