"""How many tokens a chat request holds, estimated offline with the encoding ``o200k_base``.

The ranks are packed in ``o200k_base.xz``: a pattern and a count, each with its length before it, then the length of
every token in order of rank, then the tokens. Unpacked, they are byte for byte the published ``o200k_base.tiktoken``
(a test holds them to its SHA-256).

Notice for ``o200k_base.xz``: the ranks are part of tiktoken, Copyright (c) 2022 OpenAI, Shantanu Jain, and reached us
through the package js-tiktoken, Copyright (c) 2022 OpenAI, Shantanu Jain; both under the MIT licence: permission is
granted, free of charge, to any person obtaining a copy to deal in it without restriction, provided that this notice
stays with it; it comes "as is", without warranty of any kind.
"""

from __future__ import annotations

import asyncio
import functools
import threading
from collections.abc import Iterator
from importlib import resources
from typing import TYPE_CHECKING, Any

import msgspec

from antiphon.wire.chat import ChatRequest

if TYPE_CHECKING:
    from tiktoken import Encoding

SPECIAL = {"<|endoftext|>": 199999, "<|endofprompt|>": 200018}

#: What a chat template adds: around each message, and before the answer.
_PER_MESSAGE = 3
_BEFORE_ANSWER = 3
#: An image costs at least this much; its real cost depends on its size and on the model.
_PER_IMAGE = 765
_PER_SMALL_IMAGE = 85

#: Longest text that is encoded in one piece: a text without any break would cost more than linear time.
_PIECE = 65_536

_loading = threading.Lock()


def ranks() -> tuple[str, list[bytes]]:
    """The pattern that splits text, and the tokens in order of rank."""
    import lzma

    data = lzma.decompress(resources.files("antiphon.upstream").joinpath("o200k_base.xz").read_bytes())
    end = 4 + int.from_bytes(data[:4], "big")
    pattern = data[4:end].decode()
    count = int.from_bytes(data[end : end + 4], "big")
    at = end + 4 + count
    tokens = []
    for length in data[end + 4 : at]:
        tokens.append(data[at : at + length])
        at += length
    return pattern, tokens


@functools.cache
def _encoding() -> Encoding:
    import tiktoken

    pattern, tokens = ranks()
    ranked = {token: rank for rank, token in enumerate(tokens)}
    return tiktoken.Encoding("o200k_base", pat_str=pattern, mergeable_ranks=ranked, special_tokens=SPECIAL)


@functools.cache
def _lengths() -> bytes:
    """The length of each token, in order of rank."""
    return bytes(len(token) for token in ranks()[1])


def count_text(text: str) -> int:
    """Tokens of a text; special tokens in it are ordinary text. The first call takes a moment and some memory."""
    with _loading:  # two threads must not both build it
        encoding = _encoding()
    if len(text) <= _PIECE:
        return len(encoding.encode_ordinary(text))
    return sum(len(encoding.encode_ordinary(text[i : i + _PIECE])) for i in range(0, len(text), _PIECE))


def token_lengths(text: str) -> list[int]:
    """The length of each token of the text in bytes of UTF-8, in order; special tokens in it are ordinary text."""
    with _loading:
        encoding, lengths = _encoding(), _lengths()
    pieces = (text[i : i + _PIECE] for i in range(0, len(text), _PIECE))
    return [lengths[token] for piece in pieces for token in encoding.encode_ordinary(piece)]


def count_request(request: ChatRequest) -> int:
    """Tokens of the rendered request; blocks. Deterministic."""
    count = _BEFORE_ANSWER
    for text, extra in _parts(request):
        count += extra + (count_text(text) if text else 0)
    return count


async def estimate(request: ChatRequest) -> int:
    """Tokens of the rendered request, counted beside the loop."""
    return await asyncio.to_thread(count_request, request)


def _parts(request: ChatRequest) -> Iterator[tuple[str, int]]:
    """The texts that a template would render, each with what stands around it."""
    for message in request.get("messages") or []:
        yield str(message.get("role", "")), _PER_MESSAGE
        yield str(message.get("name") or ""), 0
        yield from _content(message.get("content"))
        yield str(message.get("reasoning_content") or ""), 0
        for call in message.get("tool_calls") or []:
            function = call.get("function") or {}
            yield f"{function.get('name', '')} {function.get('arguments', '')}", _PER_MESSAGE
    for tool in request.get("tools") or []:
        yield msgspec.json.encode(tool.get("function", tool)).decode(), _PER_MESSAGE
    form = request.get("response_format")
    if isinstance(form, dict) and form.get("json_schema"):
        yield msgspec.json.encode(form["json_schema"]).decode(), 0


def _content(content: Any) -> Iterator[tuple[str, int]]:
    if isinstance(content, str):
        yield content, 0
        return
    for part in content if isinstance(content, list) else ():
        kind = part.get("type")
        if kind == "image_url":
            image = part.get("image_url")
            small = isinstance(image, dict) and image.get("detail") == "low"
            yield "", _PER_SMALL_IMAGE if small else _PER_IMAGE
        else:
            yield str(part.get("text") or part.get("refusal") or ""), 0
