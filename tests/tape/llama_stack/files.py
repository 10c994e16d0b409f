"""Small recordings in their form, written by hand."""

from __future__ import annotations

import json
from typing import Any

from antiphon.tape.model import Json

TEST = "tests/integration/agents/test_sky.py::test_rings[txt=openai/gpt-4o]"
CHUNK = "openai.types.chat.chat_completion_chunk.ChatCompletionChunk"


def labelled(name: str, data: Json) -> dict[str, Json]:
    """An object as pydantic's dump is filed."""
    return {"__type__": name, "__data__": data}


def file(request: dict[str, Any], response: dict[str, Any], **members: Json) -> bytes:
    """A whole file, in today's envelope unless ``members`` say otherwise."""
    envelope = {"test_id": TEST, "request": request, "response": response, "id_normalization_mapping": {}, **members}
    return json.dumps({name: value for name, value in envelope.items() if value is not ...}, indent=2).encode() + b"\n"


def asked(
    endpoint: str = "/v1/chat/completions", base: str = "https://api.openai.com/v1", **body: Json
) -> dict[str, Any]:
    """A request as their inference recorder files it."""
    return {
        "method": "POST",
        "url": base + endpoint,
        "headers": {},
        "body": body,
        "endpoint": endpoint,
        "model": body.get("model", ""),
    }


def said(text: str | None, **members: Json) -> dict[str, Json]:
    """The data of one chunk of a chat."""
    choice = {"delta": {"content": text, "role": None}, "finish_reason": None, "index": 0, "logprobs": None}
    return {
        "id": "rec-0123456789ab",
        "choices": [choice],
        "created": 0,
        "model": "gpt-4o",
        "object": "chat.completion.chunk",
        "usage": None,
        **members,
    }


QUESTION = asked(model="gpt-4o", messages=[{"role": "user", "content": "Which planet?"}], stream=True)


def chat(*texts: str | None) -> bytes:
    """A streamed chat."""
    return file(QUESTION, {"body": [labelled(CHUNK, said(text)) for text in texts], "is_streaming": True})


def raised(chunks: Json, *, streaming: bool = False, **data: Json) -> bytes:
    """A call that ended in an exception."""
    response = {
        "body": chunks,
        "is_streaming": streaming,
        "is_exception": True,
        "exception_message": data.get("message"),
    }
    return file(QUESTION, {**response, "exception_data": data})
