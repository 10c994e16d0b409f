"""What operations are made of: parameters, bodies, replies and refusals."""

from __future__ import annotations

from typing import Any

Json = dict[str, Any]

#: What each refusal means here. Back ends may answer with others of their own.
_REFUSALS = {
    "400": "The request is wrong; `param` and `code` say where and how.",
    "404": "No such thing, or no such model.",
    "409": "Another turn of the conversation is under way; `retry-after` says when to try again.",
    "413": "The body is too long.",
    "415": "The body is of a media type that is not read here.",
    "416": "The file does not have the bytes that were asked for.",
    "4XX": "The back end's own refusal.",
    "5XX": "The server or the back end failed, is out of reach (502), silent (504) or busy (503).",
}


def parameter(name: str, where: str, says: str, schema: Json, **more: Any) -> Json:
    """One parameter; ``where`` is ``path``, ``query`` or ``header``."""
    return {"name": name, "in": where, "description": says, "schema": schema, **more}


INCLUDE = parameter(
    "include",
    "query",
    "Accepted; everything that is stored is shown. Also as `include[]`.",
    {"type": "array", "items": {"type": "string"}},
)
PAGE = (
    parameter("after", "query", "Id of the item before the first one wanted.", {"type": "string"}),
    parameter("limit", "query", "At most so many.", {"type": "integer", "minimum": 1, "maximum": 100, "default": 20}),
    parameter("order", "query", "By age.", {"enum": ["asc", "desc"], "default": "desc"}),
)


def operation(operation_id: str, tag: str, summary: str, answer: str, *refusals: int | str) -> Json:
    """One operation; ``answer`` names the schema of its success, ``refusals`` are the statuses of its errors."""
    replies: Json = {"200": _reply("Success.", answer)}
    for status in (*map(str, refusals), "5XX"):
        replies[status] = _reply(_REFUSALS[status], "Error")
    return {"operationId": operation_id, "tags": [tag], "summary": summary, "responses": replies}


def _reply(says: str, schema: str) -> Json:
    return {
        "description": says,
        "headers": {"x-request-id": {"$ref": "#/components/headers/RequestId"}},
        "content": {"application/json": {"schema": {"$ref": f"#/components/schemas/{schema}"}}},
    }


def body(schema: str) -> Json:
    """A body of this schema."""
    return {"required": True, "content": {"application/json": {"schema": {"$ref": f"#/components/schemas/{schema}"}}}}
