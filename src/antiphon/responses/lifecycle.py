"""How a Response moves from one status to the next, and the events that say so.

The law of this file: a status changes only along ``_NEXT``, and only here. Every function takes the Response as it
stands (the fold's) and gives the event that carries it on; nothing is changed in place.
"""

from __future__ import annotations

from msgspec.structs import replace

from antiphon.errors import APIError
from antiphon.wire import events
from antiphon.wire.events import Event
from antiphon.wire.response import IncompleteDetails, IncompleteReason, Response, ResponseError, Status, Usage

_NEXT: dict[Status, frozenset[Status]] = {
    "queued": frozenset({"in_progress", "failed", "cancelled"}),
    "in_progress": frozenset({"completed", "failed", "incomplete", "cancelled"}),
    "completed": frozenset(),
    "failed": frozenset(),
    "incomplete": frozenset(),
    "cancelled": frozenset(),
}

#: Types after which no event follows.
TERMINAL = frozenset({"response.completed", "response.failed", "response.incomplete"})

#: What ``response.error.code`` may say. Anything else is the server's fault, told in the message.
ERROR_CODES = frozenset(
    {
        "server_error",
        "rate_limit_exceeded",
        "invalid_prompt",
        "data_residency_mismatch",
        "bio_policy",
        "misalignment_policy_violation",
        "vector_store_timeout",
        "invalid_image",
        "invalid_image_format",
        "invalid_base64_image",
        "invalid_image_url",
        "image_too_large",
        "image_too_small",
        "image_parse_error",
        "image_content_policy_violation",
        "invalid_image_mode",
        "image_file_too_large",
        "unsupported_image_media_type",
        "empty_image_file",
        "failed_to_download_image",
        "image_file_not_found",
        # Ours: only a test that replays a tape meets it, and it must see it wherever it looks.
        "recording_miss",
    }
)


class IllegalTransition(Exception):
    """A status was to follow one that it cannot follow: a defect of ours."""


def opening(response: Response) -> list[Event]:
    """The two events every stream begins with."""
    return [events.lifecycle("response.created", response), events.lifecycle("response.in_progress", response)]


def completed(response: Response, *, usage: Usage, service_tier: str, at: int) -> Event:
    """The run reached its end."""
    status = _next(response, "completed")
    ended = replace(response, status=status, usage=usage, service_tier=service_tier, completed_at=at)
    return events.lifecycle("response.completed", ended)


def incomplete(response: Response, reason: IncompleteReason, *, usage: Usage, service_tier: str) -> Event:
    """The model had to stop early."""
    status, details = _next(response, "incomplete"), IncompleteDetails(reason)
    ended = replace(response, status=status, incomplete_details=details, usage=usage, service_tier=service_tier)
    return events.lifecycle("response.incomplete", ended)


def cancelled(response: Response, *, usage: Usage) -> Event:
    """The client went away or asked to stop. The wire has no event of that name: ``incomplete`` carries the status."""
    return events.lifecycle("response.incomplete", replace(response, status=_next(response, "cancelled"), usage=usage))


def failed(response: Response, failure: APIError, *, usage: Usage) -> list[Event]:
    """The run broke: an ``error`` event, which most clients raise on, and then the Response that says the same."""
    code = failure.code if failure.code in ERROR_CODES else "server_error"
    told = ResponseError(code, failure.message, failure.type, failure.param)
    broken = replace(response, status=_next(response, "failed"), error=told, usage=usage)
    first = events.error(type_=failure.type, code=failure.code, message=failure.message, param=failure.param)
    return [first, events.lifecycle("response.failed", broken)]


def _next(response: Response, status: Status) -> Status:
    """This status, if it may follow the one that the Response has."""
    if status not in _NEXT[response.status]:
        raise IllegalTransition(f"{response.status} -> {status}")
    return status
