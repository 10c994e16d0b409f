"""Laws of the statuses: a Response moves along the documented ways only, and each end tells what it must."""

from __future__ import annotations

import typing
from collections.abc import Callable
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from openai.types.responses import ResponseError as TheirError

from antiphon.errors import APIError, InvalidRequest, RateLimited, UpstreamError
from antiphon.responses import lifecycle
from antiphon.wire.events import Event
from antiphon.wire.response import Response, Usage
from tests.responses.play import RESPONSE

USAGE = Usage(input_tokens=3, output_tokens=4, total_tokens=7)
ENDS: dict[str, Callable[[Response], Event]] = {
    "completed": lambda response: lifecycle.completed(response, usage=USAGE, service_tier="flex", at=5),
    "incomplete": lambda response: lifecycle.incomplete(response, "content_filter", usage=USAGE, service_tier="flex"),
    "cancelled": lambda response: lifecycle.cancelled(response, usage=USAGE),
    "failed": lambda response: lifecycle.failed(response, APIError("broke"), usage=USAGE)[-1],
}


@pytest.mark.parametrize("end", ENDS)
def test_an_end_tells_its_status_and_usage(end: str) -> None:
    """Every terminal event carries the status, the usage, and all that was there before."""
    event = ENDS[end](RESPONSE)
    response = event.payload["response"]
    assert event.type in lifecycle.TERMINAL
    assert (response.status, response.usage) == (end, USAGE)
    changed = {"status", "usage", "service_tier", "completed_at", "error", "incomplete_details"}
    before, after = (msgspec.structs.asdict(one) for one in (RESPONSE, response))
    assert all(after[key] == before[key] for key in before if key not in changed)
    assert (response.completed_at is not None) == (end == "completed")
    assert RESPONSE.status == "in_progress", "what was before is not changed"


@pytest.mark.parametrize("first", ENDS)
@pytest.mark.parametrize("second", ENDS)
def test_nothing_follows_an_end(first: str, second: str) -> None:
    """A Response that has ended does not end again, in whatever way."""
    with pytest.raises(lifecycle.IllegalTransition):
        ENDS[second](ENDS[first](RESPONSE).payload["response"])


CODES = st.none() | st.text(max_size=8) | st.sampled_from(sorted(lifecycle.ERROR_CODES))


@given(st.sampled_from([APIError, InvalidRequest, RateLimited, UpstreamError]), CODES, st.none() | st.just("input[0]"))
@settings(max_examples=40)
def test_a_failure_is_told_twice_and_alike(kind: Any, code: str | None, param: str | None) -> None:
    """The error event has the code as it is; the Response one that the SDK knows, or the tape's; both the sentence."""
    failure = kind("The sentence.", code=code, param=param)
    error, failed = lifecycle.failed(RESPONSE, failure, usage=USAGE)
    told = failed.payload["response"].error
    assert error.payload["code"] == failure.code
    assert error.payload["message"] == told.message == "The sentence."
    assert error.payload["param"] == told.param == param
    assert told.code in (*typing.get_args(TheirError.model_fields["code"].annotation), "recording_miss")
    assert told.code == failure.code or failure.code not in lifecycle.ERROR_CODES
