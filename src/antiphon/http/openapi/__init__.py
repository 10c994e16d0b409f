"""``/openapi.json``: what this server takes and gives, made from the structs that read and write it.

So precise that a generator of requests can use it: what the document allows is answered, or refused by a 4xx it names;
what it forbids is refused. Made on first use, then kept as bytes.
"""

from __future__ import annotations

import functools
from typing import Any

import msgspec

from antiphon import __version__
from antiphon.http.exchange import Exchange
from antiphon.http.openapi.paths import paths
from antiphon.http.openapi.schemas import components

__all__ = ["document", "openapi"]


def document() -> dict[str, Any]:
    """The OpenAPI 3.1 document."""
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Antiphon",
            "version": __version__,
            "description": "The OpenAI Responses API over any model that speaks Chat Completions.",
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": "/"}],
        "tags": [
            {"name": "Responses", "description": "Answers with state, items and typed events."},
            {"name": "Conversations", "description": "What was said, over many responses."},
            {"name": "Files", "description": "What clients upload."},
            {"name": "Uploads", "description": "Files that come in parts."},
            {"name": "Vector stores", "description": "Files that are searched by meaning and by words."},
            {"name": "Pass-through", "description": "The back end's own API, as it answers."},
            {"name": "Models", "description": "What can be asked."},
            {"name": "Server", "description": "About this server."},
        ],
        "paths": paths(),
        "components": components(),
    }


async def openapi(exchange: Exchange) -> None:
    """``GET /openapi.json``."""
    await exchange.json(_encoded())


@functools.cache
def _encoded() -> bytes:
    return msgspec.json.encode(document())
