"""Where a call goes, in their terms and on the wire: tables of hosts, endpoints and parameters.

Their recorder hangs inside the SDKs. It joins a base URL that already ends in ``/v1`` with an endpoint that begins
with it, says POST for everything, and keeps keyword arguments instead of a body.
"""

from __future__ import annotations

from typing import Literal
from urllib.parse import urlsplit

import msgspec

from antiphon.tape.model import Boundary

#: The way a call was caught: by an OpenAI SDK, Ollama's, Google's, or at an HTTP client.
Family = Literal["openai", "ollama", "genai", "http"]


class Place(msgspec.Struct, frozen=True):
    """One endpoint. ``endpoint`` and ``their_path`` as their files spell them, ``path`` and ``method`` as the wire."""

    family: Family
    method: str
    path: str
    endpoint: str
    their_path: str


#: What the OpenAI SDK asks for, after its base URL.
_OPENAI = ("/chat/completions", "/completions", "/embeddings", "/responses", "/models")
#: Ollama: their endpoint, the path on the wire, the method.
_OLLAMA = (
    ("/api/chat", "/api/chat", "POST"),
    ("/api/generate", "/api/generate", "POST"),
    ("/api/embeddings", "/api/embed", "POST"),
    ("/api/pull", "/api/pull", "POST"),
    ("/api/ps", "/api/ps", "GET"),
    ("/api/tags", "/api/tags", "GET"),
)
#: Google's SDK is recorded by the name of its method; the project and region of the real path are not kept.
_GENAI = ("/generate_content", "/generate_content_stream", "/embed_content")

#: A piece of a host (or scheme), the name of the provider. The first that fits.
_PROVIDERS = (
    ("vertexai:", "vertexai"),
    ("__databricks__", "databricks"),
    ("databricks.com", "databricks"),
    ("bedrock", "bedrock"),
    ("//api.openai.com", "openai"),
    (".openai.azure.com", "azure"),
    (":11434", "ollama"),
    ("localhost:8000", "vllm"),
    ("//generativelanguage.googleapis.com", "gemini"),
    (".ml.cloud.ibm.com", "watsonx"),
    ("//api.anthropic.com", "anthropic"),
    ("//api.groq.com", "groq"),
    ("//api.together.xyz", "together"),
    ("//api.fireworks.ai", "fireworks"),
    ("//integrate.api.nvidia.com", "nvidia"),
)

#: What to write before the path, so that ``provider`` reads it back. Hosts of private deployments are made up.
_BASES = {
    "vertexai": "vertexai://",
    "databricks": "__databricks__",
    "bedrock": "https://bedrock-runtime.us-west-2.amazonaws.com",
    "openai": "https://api.openai.com",
    "azure": "https://example.openai.azure.com",
    "ollama": "http://0.0.0.0:11434",
    "vllm": "http://localhost:8000",
    "gemini": "https://generativelanguage.googleapis.com",
    "watsonx": "https://us-south.ml.cloud.ibm.com",
    "anthropic": "https://api.anthropic.com",
    "groq": "https://api.groq.com",
    "together": "https://api.together.xyz",
    "fireworks": "https://api.fireworks.ai",
    "nvidia": "https://integrate.api.nvidia.com",
}

#: The keyword arguments of the SDK's methods. Everything else can only have come through ``extra_body``.
_PARAMETERS = {
    "/v1/chat/completions": (
        "audio frequency_penalty function_call functions logit_bias logprobs max_completion_tokens max_tokens messages "
        "metadata modalities model n parallel_tool_calls prediction presence_penalty prompt_cache_key "
        "prompt_cache_retention reasoning_effort response_format safety_identifier seed service_tier stop store stream "
        "stream_options temperature tool_choice tools top_logprobs top_p user verbosity web_search_options"
    ),
    "/v1/completions": (
        "best_of echo frequency_penalty logit_bias logprobs max_tokens model n presence_penalty prompt seed stop "
        "stream stream_options suffix temperature top_p user"
    ),
    "/v1/embeddings": "dimensions encoding_format input model user",
    "/v1/responses": (
        "background context_management conversation include input instructions max_output_tokens max_tool_calls "
        "metadata model parallel_tool_calls previous_response_id prompt prompt_cache_key prompt_cache_retention "
        "reasoning safety_identifier service_tier store stream stream_options temperature text tool_choice tools "
        "top_logprobs top_p truncation user"
    ),
}
PARAMETERS = {endpoint: frozenset(names.split()) for endpoint, names in _PARAMETERS.items()}


def provider_of(url: str) -> str:
    """The provider's name by the host of ``url``, or empty."""
    origin = "/".join(url.split("/", 3)[:3])
    return next((name for piece, name in _PROVIDERS if piece in origin), "")


def base_of(provider: str) -> str:
    """The scheme and host to write for ``provider``."""
    return _BASES.get(provider, "http://localhost")


def origin_of(url: str) -> str:
    """The scheme and host of ``url``."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}" if parts.netloc else ""


def on_the_wire(url: str, endpoint: str, *, chat: bool) -> Place:
    """The place of their ``url`` and ``endpoint``. ``chat``: the body holds messages.

    For a while they filed chat completions under the endpoint of completions, hence ``chat``.
    """
    path = urlsplit(url).path.removeprefix("__databricks__")
    if path in _GENAI:
        return Place("genai", "POST", path, path, path)
    for theirs, wire, method in _OLLAMA:
        if endpoint == theirs and path.endswith(theirs):
            return Place("ollama", method, path.removesuffix(theirs) + wire, theirs, path)
    name = endpoint[endpoint.rfind("/v1/") + 3 :]
    if name in _OPENAI and path.endswith(endpoint):
        base = path.removesuffix(endpoint)
        name = "/chat/completions" if chat and name == "/completions" else name
        return find("GET" if name == "/models" else "POST", base + name)
    return Place("http", "POST", path, endpoint, path)


def find(method: str, path: str) -> Place:
    """The place of a call on the wire."""
    if method == "POST" and path in _GENAI:
        return Place("genai", "POST", path, path, path)
    for theirs, wire, their_method in _OLLAMA:
        if path.endswith(wire) and method == their_method:
            return Place("ollama", method, path, theirs, path.removesuffix(wire) + theirs)
    for name in _OPENAI:
        if path.endswith(name) and method == ("GET" if name == "/models" else "POST"):
            endpoint = "/v1" + name
            return Place("openai", method, path, endpoint, path.removesuffix(name) + endpoint)
    return Place("http", method, path, path, path)


def boundary_of(path: str) -> Boundary:
    """The door that a call to ``path`` leaves by."""
    return "embeddings" if path.endswith(("/embeddings", "/api/embed", "/embed_content")) else "inference"
