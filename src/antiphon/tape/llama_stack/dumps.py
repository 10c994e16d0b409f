"""The classes that their files name: which one a piece of wire JSON is written as. When read they are mere labels."""

from __future__ import annotations

from typing import Any

from antiphon.tape.llama_stack.places import Place
from antiphon.tape.model import Json

_WHOLE = {
    "/v1/chat/completions": "openai.types.chat.chat_completion.ChatCompletion",
    "/v1/completions": "openai.types.completion.Completion",
    "/v1/embeddings": "openai.types.create_embedding_response.CreateEmbeddingResponse",
    "/v1/responses": "openai.types.responses.response.Response",
    "/v1/models": "openai.types.model.Model",
    "/api/chat": "ollama._types.ChatResponse",
    "/api/generate": "ollama._types.GenerateResponse",
    "/api/embeddings": "ollama._types.EmbedResponse",
    "/api/pull": "ollama._types.ProgressResponse",
    "/api/ps": "ollama._types.ProcessResponse",
    "/api/tags": "ollama._types.ListResponse",
}
_CHUNK = {**_WHOLE, "/v1/chat/completions": "openai.types.chat.chat_completion_chunk.ChatCompletionChunk"}

#: Events of the Responses API whose class is not named after them.
_EVENT_WORDS = {
    "output_text.delta": "text.delta",
    "output_text.done": "text.done",
    "image_generation_call.": "image_gen_call.",
}
_TOOL_RESULT = "ogx_api.tools.ToolInvocationResult"
_TOOL_MEMBERS = frozenset({"content", "error_message", "error_code", "metadata"})


def labelled(place: Place, value: Json, *, chunk: bool, key: str) -> Json:
    """``value`` in the form their recorder writes it. ``key``: their hash, of which ids are made."""
    if place.family == "genai" or place.family == "http" or not isinstance(value, dict):
        return value
    if place.endpoint == "/v1/responses" and chunk:
        return {"__type__": _event_class(value), "__data__": value}
    table = _CHUNK if chunk else _WHOLE
    return {"__type__": table[place.endpoint], "__data__": _quiet(place, value, key)}


def tool_result(result: Json) -> Json:
    """The result of a tool in the form their recorder writes it."""
    if isinstance(result, dict) and "content" in result and result.keys() <= _TOOL_MEMBERS:
        return {"__type__": _TOOL_RESULT, "__data__": result}
    return result


def _quiet(place: Place, value: dict[str, Any], key: str) -> dict[str, Any]:
    """Without what differs from one recording to the next: ids and times, as their recorder writes them."""
    if place.endpoint in ("/v1/chat/completions", "/v1/completions"):
        changed = dict(value)
        if "id" in value and not str(value["id"]).startswith("rec-"):
            changed["id"] = f"rec-{key[:12]}"
        if "created" in value:
            changed["created"] = 0
        return changed
    if place.family == "ollama":
        times = {name: 0 for name, was in value.items() if name.endswith("_duration") and was is not None}
        made = {"created_at": "1970-01-01T00:00:00.000000Z"} if "created_at" in value else {}
        return {**value, **times, **made}
    return value


def _event_class(value: dict[str, Any]) -> str:
    name = str(value.get("type", "error")).removeprefix("response.")
    for words, instead in _EVENT_WORDS.items():
        name = name.replace(words, instead)
    name = name.replace(".", "_")
    title = "".join(word.capitalize() for word in name.split("_"))
    return f"openai.types.responses.response_{name}_event.Response{title}Event"
