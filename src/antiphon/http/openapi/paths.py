"""The operations: their parameters, bodies and replies."""

from __future__ import annotations

from typing import Any

Json = dict[str, Any]

#: What each refusal means here. Back ends may answer with others of their own.
_REFUSALS = {
    "400": "The request is wrong; `param` and `code` say where and how.",
    "404": "No such thing, or no such model.",
    "413": "The body is too long.",
    "415": "The body is not JSON.",
    "4XX": "The back end's own refusal.",
    "5XX": "The server or the back end failed, is out of reach (502), silent (504) or busy (503).",
}


def paths() -> Json:
    """All of them, by path."""
    return {
        "/v1/responses": {"post": _create()},
        "/v1/responses/input_tokens": {"post": _input_tokens()},
        "/v1/responses/{response_id}": {
            "parameters": [_RESPONSE_ID],
            "get": _retrieve(),
            "delete": _delete(),
        },
        "/v1/responses/{response_id}/cancel": {"parameters": [_RESPONSE_ID], "post": _cancel()},
        "/v1/responses/{response_id}/input_items": {"parameters": [_RESPONSE_ID], "get": _input_items()},
        "/v1/chat/completions": {
            "post": _passed("createChatCompletion", "Complete a chat", "ChatCompletion", streams=True)
        },
        "/v1/completions": {"post": _passed("createCompletion", "Complete a text", "Completion", streams=True)},
        "/v1/embeddings": {"post": _passed("createEmbedding", "Embed texts", "Embeddings", streams=False)},
        "/v1/models": {"get": _operation("listModels", "Models", "List all models", "ModelList")},
        "/v1/models/{model}": {"parameters": [_MODEL], "get": _model()},
        "/health": {"get": _operation("getHealth", "Server", "Whether the server is up", "Health")},
        "/openapi.json": {"get": _operation("getDocument", "Server", "This document", "Document")},
    }


def _parameter(name: str, where: str, says: str, schema: Json, **more: Any) -> Json:
    return {"name": name, "in": where, "description": says, "schema": schema, **more}


_RESPONSE_ID = _parameter("response_id", "path", "Id of a stored response.", {"type": "string"}, required=True)
_MODEL = _parameter(
    "model", "path", "Id of a model; its slashes may be percent-encoded.", {"type": "string"}, required=True
)
_INCLUDE = _parameter(
    "include",
    "query",
    "Accepted; everything that is stored is shown. Also as `include[]`.",
    {"type": "array", "items": {"type": "string"}},
)
_DIALECT = _parameter(
    "OpenResponses-Dialect",
    "header",
    "A version of Open Responses, for its form of the events; `openai` for OpenAI's.",
    {"type": "string"},
)


def _create() -> Json:
    operation = _operation("createResponse", "Responses", "Create a response", "Response", 400, 404, 413, 415, "4XX")
    operation["description"] = (
        "With `stream: true` the reply is a stream of events. Every parameter is honoured, forwarded, echoed or "
        "refused by name."
    )
    operation["parameters"] = [_DIALECT]
    operation["requestBody"] = _body("CreateResponse")
    _add_events(operation, "ResponseEvent")
    operation["responses"]["200"]["headers"]["antiphon-unserved-tools"] = {
        "description": "Tools of the request that nobody here can run; they were not offered to the model.",
        "schema": {"type": "string"},
    }
    return operation


def _input_tokens() -> Json:
    operation = _operation(
        "countInputTokens", "Responses", "Count the tokens of a request", "InputTokens", 400, 404, 413, 415, "4XX"
    )
    operation["requestBody"] = _body("CountInputTokens")
    operation["responses"]["200"]["headers"]["antiphon-token-count"] = {
        "description": "Whether the back end's own tokenizer counted.",
        "schema": {"enum": ["exact", "estimate"]},
        "required": True,
    }
    return operation


def _retrieve() -> Json:
    operation = _operation("getResponse", "Responses", "Get a response, or its events again", "Response", 400, 404)
    operation["parameters"] = [
        _parameter("stream", "query", "`true`: the events instead of the response.", {"type": "boolean"}),
        _parameter(
            "starting_after",
            "query",
            "Only events with a larger sequence number; with `stream` only.",
            {"type": "integer", "minimum": -1, "maximum": 2**53},
        ),
        _parameter("include_obfuscation", "query", "Accepted; padding is never sent.", {"type": "boolean"}),
        _INCLUDE,
    ]
    return _add_events(operation, "ResponseEvent")


def _delete() -> Json:
    return _operation("deleteResponse", "Responses", "Delete a response", "DeletedResponse", 404)


def _cancel() -> Json:
    operation = _operation("cancelResponse", "Responses", "Cancel a background response", "Response", 400, 404)
    operation["description"] = "Only responses made with `background` can be cancelled."
    return operation


def _input_items() -> Json:
    operation = _operation("listInputItems", "Responses", "List a response's own input", "ItemList", 400, 404)
    operation["parameters"] = [
        _parameter("after", "query", "Id of the item before the first one wanted.", {"type": "string"}),
        _parameter(
            "limit", "query", "At most so many.", {"type": "integer", "minimum": 1, "maximum": 100, "default": 20}
        ),
        _parameter("order", "query", "By age.", {"enum": ["asc", "desc"], "default": "desc"}),
        _INCLUDE,
    ]
    return operation


def _passed(operation_id: str, summary: str, answer: str, *, streams: bool) -> Json:
    operation = _operation(operation_id, "Pass-through", summary, answer, 400, 404, 413, 415, "4XX")
    operation["description"] = (
        "The body goes to the back end of its model as it is, and the answer comes back as it is. Only "
        "`model` is read, and rewritten where the back end knows it by another name."
    )
    operation["requestBody"] = _body(f"Create{answer}")
    return _add_events(operation, "ChunkEvent") if streams else operation


def _model() -> Json:
    return _operation("retrieveModel", "Models", "Get one model", "Model", 404)


def _operation(operation_id: str, tag: str, summary: str, answer: str, *refusals: int | str) -> Json:
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


def _body(schema: str) -> Json:
    return {"required": True, "content": {"application/json": {"schema": {"$ref": f"#/components/schemas/{schema}"}}}}


def _add_events(operation: Json, event: str) -> Json:
    """The reply as a stream, each event of which fits this schema."""
    operation["responses"]["200"]["content"]["text/event-stream"] = {
        "schema": {"$ref": f"#/components/schemas/{event}"}
    }
    return operation
