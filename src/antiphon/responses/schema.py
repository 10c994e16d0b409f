"""Structured output from back ends that do not hold themselves to a schema: check, and say what is wrong."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import islice
from typing import TYPE_CHECKING, Any

import msgspec

from antiphon.wire.chat import ChatRequest
from antiphon.wire.events import AnyEvent, Event
from antiphon.wire.items import Message, OutputText, Reasoning

if TYPE_CHECKING:
    from jsonschema_rs import Validator

#: So many misfits are told.
_TOLD = 3

#: Steps back of one match of a ``pattern``, which is the client's and may need for ever.
_STEPS_BACK = 100_000


class SchemaCheck(msgspec.Struct, frozen=True):
    """What the text must be: valid JSON, an object, and (with a ``schema``) an instance of it."""

    name: str
    schema: dict[str, Any] | None

    def broken(self) -> str | None:
        """Why the schema itself cannot be used; None when it can."""
        from jsonschema_rs import ValidationError

        try:
            _validator(self.schema or {})
        except ValidationError as error:
            return _where(error.instance_path, error.message)
        return None

    def problem(self, text: str) -> str | None:
        """Why ``text`` does not fit, in words for the model and the client; None when it fits."""
        try:
            value = msgspec.json.decode(text)
        except msgspec.DecodeError as error:
            return f"it is not valid JSON: {error}"
        except RecursionError:
            return "it is nested too deeply to be read"
        if self.schema is None:
            return None if isinstance(value, dict) else "it is JSON, but not an object"
        misfits = islice(_validator(self.schema).iter_errors(value), _TOLD)
        return "; ".join(_where(misfit.instance_path, misfit.message) for misfit in misfits) or None


def _validator(schema: dict[str, Any]) -> Validator:
    """Of the schema's own draft. It fetches nothing, whatever URL a client names."""
    from jsonschema_rs import FancyRegexOptions, validator_for

    return validator_for(schema, offline=True, pattern_options=FancyRegexOptions(backtrack_limit=_STEPS_BACK))


def _where(path: Iterable[str | int], message: str) -> str:
    steps = "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in path)
    return f"at {_short(f'${steps}')}: {_short(message)}"


def answer(events: Sequence[AnyEvent]) -> str | None:
    """The text of a turn that is an answer: None when it calls tools or refuses."""
    texts: list[str] = []
    for event in events:
        item = event.payload.get("item") if isinstance(event, Event) and event.type.endswith("item.done") else None
        if isinstance(item, Message):
            texts += [part.text for part in item.content if isinstance(part, OutputText)]
            if any(not isinstance(part, OutputText) for part in item.content):
                return None
        elif item is not None and not isinstance(item, Reasoning):
            return None
    return "".join(texts)


def with_complaint(request: ChatRequest, text: str, problem: str) -> ChatRequest:
    """The request again, followed by the answer that did not fit and what was wrong with it."""
    complaint = f"Your answer does not fit the required JSON format: {problem}. Answer again with the JSON alone."
    messages = [
        *request["messages"],
        {"role": "assistant", "content": text},
        {"role": "user", "content": complaint},
    ]
    return {**request, "messages": messages}


def _short(message: str, limit: int = 300) -> str:
    return message if len(message) <= limit else message[: limit - 3] + "..."
