"""Short ways to ask through the SDK, and what every test wants to know of a refusal or a stream."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import openai
import pytest
from openai.types.responses import Response


def ask(client: openai.OpenAI, input: Any = "hi", **more: Any) -> Response:  # noqa: A002 - the API's word
    """One response of the model ``m``."""
    found: Response = client.responses.create(model=more.pop("model", "m"), input=input, **more)
    return found


def stream(client: openai.OpenAI, input: Any = "hi", **more: Any) -> list[Any]:  # noqa: A002 - the API's word
    """All events of a streamed response, as the SDK types them."""
    with live(client, input, **more) as events:
        return list(events)


def live(client: openai.OpenAI, input: Any = "hi", **more: Any) -> Any:  # noqa: A002 - the API's word
    """A streamed response while it runs, as a context manager: leaving it hangs up."""
    return client.responses.create(model=more.pop("model", "m"), input=input, stream=True, **more)


def again(client: openai.OpenAI, response_id: str, **more: Any) -> Any:
    """The events of a response that is there already, as a context manager."""
    return client.responses.retrieve(response_id, stream=True, **more)


def types(events: list[Any]) -> list[str]:
    """Their types."""
    return [event.type for event in events]


def dump(value: Any) -> dict[str, Any]:
    """An SDK object as it was on the wire."""
    found: dict[str, Any] = json.loads(value.to_json(exclude_unset=True))
    return found


def refused(
    call: Callable[[], object],
    *,
    param: str | None,
    code: str | None,
    error: type[openai.APIStatusError] = openai.BadRequestError,
) -> openai.APIStatusError:
    """The call raises this error of the SDK, with this ``param`` and ``code``, a sentence and a request id."""
    with pytest.raises(error) as caught:
        call()
    told = caught.value
    assert (told.param, told.code) == (param, code), told.message
    assert told.message
    assert told.request_id is not None
    assert told.request_id.startswith("req_")
    return told
