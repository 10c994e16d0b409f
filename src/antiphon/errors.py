"""Every failure a client can meet, in OpenAI's error body.

The tree, most general first::

    APIError
      InvalidRequest            400  invalid_request_error
        UnsupportedParameter    400  code unsupported_parameter
      AuthenticationFailed      401  authentication_error
      NotFound                  404  invalid_request_error
        ModelNotFound           404  code model_not_found
      MethodNotAllowed          405  invalid_request_error
      Conflict                  409  conflict_error
      PayloadTooLarge           413  invalid_request_error
      UnsupportedMediaType      415  invalid_request_error
      RateLimited               429  rate_limit_error
      InternalError             500  server_error
      UpstreamError             the back end's own status (502 when it gave none, 504 when it was silent)
      Unavailable               503  server_error

The class gives status and type; the raiser gives the sentence, the ``param`` (a JSON path such as
``input[2].call_id``) and the ``code``. Mapping to HTTP happens in ``http/errors`` and nowhere else.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


class APIError(Exception):
    """A failure with an HTTP status and OpenAI's four fields.

    ``headers`` are added to the HTTP reply (``retry-after``, ``allow``).
    """

    status = 500
    type = "server_error"
    code: str | None = None

    def __init__(
        self,
        message: str,
        *,
        param: str | None = None,
        code: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.param = param
        if code is not None:
            self.code = code
        self.headers = dict(headers or {})

    def body(self) -> dict[str, Any]:
        """``{"error": {message, type, param, code}}``, the body every OpenAI client reads."""
        return {"error": {"message": self.message, "type": self.type, "param": self.param, "code": self.code}}


def first_of(failures: BaseExceptionGroup[APIError]) -> APIError:
    """One of several that failed together: a client is told of one failure at a time."""
    failure = failures.exceptions[0]
    return first_of(failure) if isinstance(failure, BaseExceptionGroup) else failure


class InvalidRequest(APIError):
    """The request itself is wrong."""

    status = 400
    type = "invalid_request_error"


class UnsupportedParameter(InvalidRequest):
    """A parameter that this server knows and cannot honour."""

    code = "unsupported_parameter"


class AuthenticationFailed(APIError):
    """No credentials, or wrong ones."""

    status = 401
    type = "authentication_error"
    code = "invalid_api_key"


class NotFound(APIError):
    """No such thing, or not yours."""

    status = 404
    type = "invalid_request_error"
    code = "not_found"


class ModelNotFound(NotFound):
    """No upstream serves this model."""

    code = "model_not_found"


class MethodNotAllowed(APIError):
    """The route exists, the method does not."""

    status = 405
    type = "invalid_request_error"
    code = "method_not_allowed"


class Conflict(APIError):
    """The thing is in a state that does not allow this."""

    status = 409
    type = "conflict_error"
    code = "conflict"


class PayloadTooLarge(APIError):
    """The body is over the limit."""

    status = 413
    type = "invalid_request_error"
    code = "payload_too_large"


class UnsupportedMediaType(APIError):
    """The body is not of a type this route reads."""

    status = 415
    type = "invalid_request_error"
    code = "unsupported_media_type"


class RateLimited(APIError):
    """Too much at once; ``retry-after`` says when."""

    status = 429
    type = "rate_limit_error"
    code = "rate_limit_exceeded"


class InternalError(APIError):
    """Our own fault."""

    code = "server_error"


class Unavailable(APIError):
    """The server cannot take this now (shutting down, or a store that does not answer)."""

    status = 503
    code = "unavailable"


class UpstreamError(APIError):
    """The back end refused, failed or broke off. ``status`` is its own; 502 when it never answered."""

    def __init__(
        self,
        message: str,
        *,
        status: int = 502,
        type: str = "server_error",  # noqa: A002 - the wire's word
        code: str | None = "upstream_error",
        param: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(message, param=param, headers=headers)
        self.status = status
        self.type = type
        self.code = code
