"""The official SDK as judge: its types, strictly, and its own accumulator over its own transport."""

from __future__ import annotations

import json
import typing
from collections.abc import Sequence
from typing import Any

import httpx2
from openai import OpenAI
from openai.lib.streaming.responses._responses import ResponseStreamState
from openai.types.responses import ResponseStreamEvent
from pydantic import BaseModel

from antiphon.wire.encode import Frame, data_of

#: What we send beyond the SDK's types: the function's name for clients of 2.x, the nested form of an error, and what
#: Open Responses requires of a Response; the status that OpenAI documents for a custom call its SDK's type lacks.
_OURS = {"name", "error", "store", "presence_penalty", "frequency_penalty", "bytes", "status"}

_MODELS: dict[str, type[BaseModel]] = {
    typing.get_args(model.model_fields["type"].annotation)[0]: model
    for model in typing.get_args(typing.get_args(ResponseStreamEvent)[0])
}


def validate(frame: Frame) -> None:
    """Raises when the frame does not hold strictly an event of the SDK's union, or holds keys that it does not know."""
    data = data_of(frame)
    name = json.loads(data)["type"]
    assert frame == b"event: %b\ndata: %b\n\n" % (name.encode(), data)
    event = _MODELS[name].model_validate_json(data, strict=True)
    _no_extras(event)


def _no_extras(value: Any) -> None:
    if isinstance(value, BaseModel):
        extra = set(value.model_extra or {}) - _OURS
        assert not extra, f"{type(value).__name__} does not know {extra}"
        for name in type(value).model_fields:
            _no_extras(getattr(value, name))
    elif isinstance(value, list):
        for inner in value:
            _no_extras(inner)


class Accumulator:
    """``client.responses.stream()`` over frames that are already there."""

    def __init__(self) -> None:
        self._body = b""
        transport = httpx2.MockTransport(self._answer)
        self._client = OpenAI(
            api_key="k", base_url="http://127.0.0.1/v1", http_client=httpx2.Client(transport=transport), max_retries=0
        )

    def _answer(self, _: httpx2.Request) -> httpx2.Response:
        return httpx2.Response(200, headers={"content-type": "text/event-stream"}, content=self._body)

    def __call__(self, frames: Sequence[Frame]) -> tuple[dict[str, Any], list[dict[str, Any]]]:
        """The final Response as the SDK gives it, and the output that it put together from the deltas alone.

        Raises what the SDK raises.
        """
        self._body = b"".join([*frames, b"data: [DONE]\n\n"])
        with self._client.responses.stream(model="m", input="hi") as stream:
            final = stream.get_final_response()
            state: Any = stream._state
            assert isinstance(state, ResponseStreamState)
            snapshot = state._ResponseStreamState__current_snapshot  # type: ignore[attr-defined]
        return json.loads(final.to_json(exclude_unset=True)), [item.to_dict() for item in snapshot.output]

    def close(self) -> None:
        """Let the client go."""
        self._client.close()
