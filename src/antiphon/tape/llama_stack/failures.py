"""Their recorded exceptions, and the HTTP errors and broken streams that they were.

An exception before the first chunk is an HTTP error; one after it is how the stream ended.
"""

from __future__ import annotations

import json
from typing import Any

from antiphon.tape.llama_stack.frames import dumps, sse
from antiphon.tape.model import End, Headers, HttpResponse, Json

#: The status of an exception that has none: by the name of its class.
_STATUS = {
    "ValueError": 400,
    "BadRequestError": 400,
    "ValidationError": 400,
    "RequestValidationError": 400,
    "AuthenticationRequiredError": 401,
    "AuthenticationError": 401,
    "PermissionError": 403,
    "PermissionDeniedError": 403,
    "NotFoundError": 404,
    "ConflictError": 409,
    "UnprocessableEntityError": 422,
    "RateLimitError": 429,
    "NotImplementedError": 501,
    "ConnectionError": 502,
    "APIConnectionError": 502,
    "TimeoutError": 504,
    "APITimeoutError": 504,
}
_CLASSES = {
    400: "BadRequestError",
    401: "AuthenticationError",
    403: "PermissionDeniedError",
    404: "NotFoundError",
    409: "ConflictError",
    422: "UnprocessableEntityError",
    429: "RateLimitError",
}
#: The exceptions that mean the peer went away, and the one that means the reader did.
_RESET = frozenset({"APIConnectionError", "ConnectionResetError", "ReadError", "RemoteProtocolError", "ConnectError"})
_CLOSED = "GeneratorExit"

_JSON: Headers = (("content-type", "application/json"),)
_TEXT: Headers = (("content-type", "text/plain; charset=utf-8"),)


def as_error(theirs: dict[str, Any]) -> HttpResponse:
    """An exception instead of an answer, as the HTTP error it came from, in OpenAI's shape."""
    data, message = _data(theirs)
    status = _status(data)
    body = data.get("body")
    if isinstance(body, str):
        return HttpResponse(status, _TEXT, (body.encode(),) if body else ())
    if body is None:
        kind = "server_error" if status >= 500 else "invalid_request_error"
        body = {"message": message, "type": kind, "param": None, "code": None}
    return HttpResponse(status, _JSON, (dumps({"error": body}),))


def as_end(theirs: dict[str, Any]) -> tuple[tuple[bytes, ...], End, str]:
    """An exception after the first chunk: the error event that carried it, if one did, and how the stream ended."""
    data, message = _data(theirs)
    if isinstance(data.get("body"), dict):
        return (sse({"error": data["body"]}),), "complete", ""
    name = data.get("type")
    end: End = "reset" if name in _RESET else "closed" if name == _CLOSED else "error"
    return (), end, message


def from_error(status: int, content: str, family: str) -> dict[str, Any]:
    """The members of a response that say: the SDK raised the error of this status."""
    body = _parsed(content)
    message = f"Error code: {status} - {body}"
    body = body.get("error", body) if isinstance(body, dict) else body
    return _raised(None, status, message, family, body, streaming=False)


def from_end(chunks: list[Json], end: End, error: str) -> dict[str, Any]:
    """The members of a response that say: the stream broke off after ``chunks``."""
    name = "APIConnectionError" if end == "reset" else _CLOSED if end == "closed" else "APIError"
    data = {"category": "unknown", "type": name, "message": error}
    return {
        "body": chunks,
        "is_streaming": True,
        "is_exception": True,
        "exception_data": data,
        "exception_message": error,
    }


def from_event(chunks: list[Json], error: Json) -> dict[str, Any]:
    """The members of a response that say: an error event came after ``chunks``."""
    message = str(error.get("message", error)) if isinstance(error, dict) else str(error)
    body = error if isinstance(error, dict) else {"message": message}
    code = body.get("code")
    status = code if isinstance(code, int) and 400 <= code < 600 else 500
    return _raised(chunks, status, message, "openai", body, streaming=True)


def _raised(
    chunks: list[Json] | None, status: int, message: str, family: str, body: Json, *, streaming: bool
) -> dict[str, Any]:
    name = _CLASSES.get(status, "InternalServerError" if status >= 500 else "APIStatusError")
    data = {
        "category": "provider_sdk",
        "provider": family,
        "type": name,
        "message": message,
        "status_code": status,
        "body": body,
    }
    return {
        "body": chunks,
        "is_streaming": streaming,
        "is_exception": True,
        "exception_data": data,
        "exception_message": message,
    }


def _data(theirs: dict[str, Any]) -> tuple[dict[str, Any], str]:
    # The oldest exceptions are a message and nothing else.
    data = theirs.get("exception_data") or {}
    return data, str(data.get("message", theirs.get("exception_message", "")))


def _status(data: dict[str, Any]) -> int:
    status = data.get("status_code")
    if isinstance(status, int) and 400 <= status < 600:
        return status
    return _STATUS.get(str(data.get("type")), 500)


def _parsed(content: str) -> Json:
    try:
        return json.loads(content)
    except ValueError:
        return content
