"""The operations: their parameters, bodies and replies."""

from __future__ import annotations

from typing import Any

from antiphon.http.openapi.conversations import conversation_paths
from antiphon.http.openapi.files import file_paths
from antiphon.http.openapi.operations import INCLUDE, PAGE, body, operation, parameter
from antiphon.http.openapi.vector_stores import vector_store_paths

Json = dict[str, Any]


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
        **conversation_paths(),
        **file_paths(),
        **vector_store_paths(),
        "/v1/chat/completions": {
            "post": _passed("createChatCompletion", "Complete a chat", "ChatCompletion", streams=True)
        },
        "/v1/completions": {"post": _passed("createCompletion", "Complete a text", "Completion", streams=True)},
        "/v1/embeddings": {"post": _passed("createEmbedding", "Embed texts", "Embeddings", streams=False)},
        "/v1/models": {"get": operation("listModels", "Models", "List all models", "ModelList")},
        "/v1/models/{model}": {"parameters": [_MODEL], "get": _model()},
        "/health": {"get": operation("getHealth", "Server", "Whether the server is up", "Health")},
        "/openapi.json": {"get": operation("getDocument", "Server", "This document", "Document")},
    }


_RESPONSE_ID = parameter("response_id", "path", "Id of a stored response.", {"type": "string"}, required=True)
_MODEL = parameter(
    "model", "path", "Id of a model; its slashes may be percent-encoded.", {"type": "string"}, required=True
)
_DIALECT = parameter(
    "OpenResponses-Dialect",
    "header",
    "A version of Open Responses, for its form of the events; `openai` for OpenAI's.",
    {"type": "string"},
)


def _create() -> Json:
    made = operation("createResponse", "Responses", "Create a response", "Response", 400, 404, 409, 413, 415, "4XX")
    made["description"] = (
        "With `stream: true` the reply is a stream of events. Every parameter is honoured, forwarded, echoed or "
        "refused by name."
    )
    made["parameters"] = [_DIALECT]
    made["requestBody"] = body("CreateResponse")
    _add_events(made, "ResponseEvent")
    made["responses"]["200"]["headers"]["antiphon-unserved-tools"] = {
        "description": "Tools of the request that nobody here can run; they were not offered to the model.",
        "schema": {"type": "string"},
    }
    return made


def _input_tokens() -> Json:
    made = operation(
        "countInputTokens", "Responses", "Count the tokens of a request", "InputTokens", 400, 404, 413, 415, "4XX"
    )
    made["requestBody"] = body("CountInputTokens")
    made["responses"]["200"]["headers"]["antiphon-token-count"] = {
        "description": "Whether the back end's own tokenizer counted.",
        "schema": {"enum": ["exact", "estimate"]},
        "required": True,
    }
    return made


def _retrieve() -> Json:
    made = operation("getResponse", "Responses", "Get a response, or its events again", "Response", 400, 404)
    made["parameters"] = [
        parameter("stream", "query", "`true`: the events instead of the response.", {"type": "boolean"}),
        parameter(
            "starting_after",
            "query",
            "Only events with a larger sequence number; with `stream` only.",
            {"type": "integer", "minimum": -1, "maximum": 2**53},
        ),
        parameter("include_obfuscation", "query", "Accepted; padding is never sent.", {"type": "boolean"}),
        INCLUDE,
    ]
    return _add_events(made, "ResponseEvent")


def _delete() -> Json:
    return operation("deleteResponse", "Responses", "Delete a response", "DeletedResponse", 404)


def _cancel() -> Json:
    made = operation("cancelResponse", "Responses", "Cancel a background response", "Response", 400, 404)
    made["description"] = "Only responses made with `background` can be cancelled."
    return made


def _input_items() -> Json:
    made = operation("listInputItems", "Responses", "List a response's own input", "ItemList", 400, 404)
    made["parameters"] = [*PAGE, INCLUDE]
    return made


def _passed(operation_id: str, summary: str, answer: str, *, streams: bool) -> Json:
    made = operation(operation_id, "Pass-through", summary, answer, 400, 404, 413, 415, "4XX")
    made["description"] = (
        "The body goes to the back end of its model as it is, and the answer comes back as it is. Only "
        "`model` is read, and rewritten where the back end knows it by another name."
    )
    made["requestBody"] = body(f"Create{answer}")
    return _add_events(made, "ChunkEvent") if streams else made


def _model() -> Json:
    return operation("retrieveModel", "Models", "Get one model", "Model", 404)


def _add_events(made: Json, event: str) -> Json:
    """The reply as a stream, each event of which fits this schema."""
    made["responses"]["200"]["content"]["text/event-stream"] = {"schema": {"$ref": f"#/components/schemas/{event}"}}
    return made
