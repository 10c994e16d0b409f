"""Every real stream comes back exactly, and how much room and time it takes."""

from __future__ import annotations

import json
from collections.abc import Iterator
from time import process_time
from typing import Any

from antiphon.tape import document
from antiphon.tape.codec import decode, encode
from antiphon.tape.model import Exchange, HttpRequest, HttpResponse
from tests.shared import shared

#: Bytes a chunk over all streams, and over those of at least LONG chunks; promised 70 and 20.
ALL, LONG_ONES, LONG = 70, 20, 100


def streams() -> Iterator[tuple[int, list[list[bytes]]]]:
    """Each recorded stream: how many chunks it holds, and its wire text in the ways it may have been read."""
    for path in sorted(shared("recordings").rglob("*.json")):
        response = json.loads(path.read_bytes()).get("response")
        if not isinstance(response, dict) or not response.get("is_streaming"):
            continue
        body: list[Any] = response["body"]
        if isinstance(body[0], str):
            lines = [f"{line}\n".encode() for line in body]
            yield len(body), [b"".join(lines).replace(b"\n\n", b"\n\n\0").split(b"\0"), lines]
        else:
            chunks = [chunk.get("__data__", chunk) for chunk in body]
            texts = [json.dumps(chunk, ensure_ascii=False, separators=(",", ":")) for chunk in chunks]
            yield len(body), [[f"data: {text}\n\n".encode() for text in [*texts, "[DONE]"]]]


def section(reads: list[bytes]) -> int:
    """Bytes of the ``stream`` section in the file of an exchange."""
    response = HttpResponse(200, (("content-type", "text/event-stream"),), tuple(reads))
    data, _ = document.dump(Exchange(HttpRequest("POST", "/v1/chat/completions"), response))
    return data.rindex(b"\n }\n}\n") - data.index(b'\n  "stream": ')


def test_every_stream_comes_back_and_is_small() -> None:
    """Chunk for chunk; at most 70 bytes a chunk, and 20 for streams of 100 chunks or more."""
    chunks = long_chunks = size = long_size = 0
    for count, ways in streams():
        for reads in ways:
            assert tuple(reads) == decode(encode(reads))
        written = section(ways[0])
        chunks, size = chunks + count, size + written
        if count >= LONG:
            long_chunks, long_size = long_chunks + count, long_size + written
    print(f"{size / chunks:.1f} bytes a chunk, {long_size / long_chunks:.1f} in long streams")
    assert chunks > 3000
    assert size / chunks <= ALL
    assert long_size / long_chunks <= LONG_ONES


def test_decoding_is_quick() -> None:
    """A few microseconds an event. The bound is loose: only a mistake reaches it."""
    forms = [(encode(ways[0]), len(ways[0])) for _, ways in streams()]
    events = sum(count for _, count in forms)
    best = min(_seconds([form for form, _ in forms]) for _ in range(3))
    assert best / events < 200e-6


def _seconds(forms: list[Any]) -> float:
    start = process_time()
    for form in forms:
        decode(form)
    return process_time() - start
