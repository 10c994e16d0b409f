"""The shapes of what is passed on. The back end checks them; here stands only what every back end agrees on."""

from __future__ import annotations

from typing import Any

Json = dict[str, Any]

_MODEL: Json = {"type": "string", "minLength": 1, "description": "Chooses the back end."}
_STREAM: Json = {"description": "`true`: the answer comes as events."}
_USAGE: Json = {"type": ["object", "null"], "description": "Tokens read and written."}


def schemas() -> dict[str, Json]:
    """Requests (``Create...``) and replies, by name."""
    return {
        "CreateChatCompletion": _object(
            "A request of OpenAI's Chat Completions API, with whatever the back end knows beside.",
            {
                "model": _MODEL,
                "messages": {"type": "array", "minItems": 1, "description": "The conversation."},
                "stream": _STREAM,
            },
            "model",
            "messages",
        ),
        "ChatCompletion": _answer("chat.completion", "choices"),
        "CreateCompletion": _object(
            "A request of OpenAI's older Completions API.",
            {"model": _MODEL, "prompt": {"description": "A text, or several."}, "stream": _STREAM},
            "model",
        ),
        "Completion": _answer("text_completion", "choices"),
        "CreateEmbeddings": _object(
            "Texts to embed.",
            {
                "model": _MODEL,
                "input": {
                    "anyOf": [{"type": "string"}, {"type": "array", "minItems": 1}],
                    "description": "A text, or several; tokens where the back end takes them.",
                },
                "encoding_format": {"description": "`float` or `base64`; the answer is as the back end gives it."},
                "dimensions": {"description": "Length of the vectors, where the model lets it be chosen."},
            },
            "model",
            "input",
        ),
        "Embeddings": _answer("list", "data"),
    }


def _object(says: str, properties: Json, *required: str) -> Json:
    return {"type": "object", "description": says, "properties": properties, "required": list(required)}


def _answer(kind: str, listed: str) -> Json:
    properties = {"object": {"const": kind}, "model": {"type": "string"}, listed: {"type": "array"}, "usage": _USAGE}
    return _object("The back end's own answer.", properties, "object", "model", listed)
