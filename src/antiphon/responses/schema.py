"""Structured output from back ends that do not hold themselves to a schema: check, and say what is wrong."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import msgspec

from antiphon.errors import InvalidRequest
from antiphon.wire.chat import ChatRequest
from antiphon.wire.events import AnyEvent, Event
from antiphon.wire.items import Message, OutputText, Reasoning

if TYPE_CHECKING:
    from jsonschema.protocols import Validator

_TOO_DEEP = "it is nested too deeply to be checked"

#: Keywords whose values are data, in which ``$ref`` is a word like any other.
_DATA = frozenset({"const", "enum", "default", "examples"})


class SchemaCheck(msgspec.Struct, frozen=True):
    """What the text must be: valid JSON, an object, and (with a ``schema``) an instance of it."""

    name: str
    schema: dict[str, Any] | None

    def broken(self) -> str | None:
        """Why the schema itself cannot be used; None when it can."""
        import jsonschema
        from referencing.exceptions import Unresolvable
        from referencing.jsonschema import DRAFT202012

        schema = self.schema or {}
        try:
            _validator(schema).check_schema(schema)
            resolver = _documents().resolver_with_root(DRAFT202012.create_resource(schema))
            for reference in _references(schema):
                resolver.lookup(reference)
        except jsonschema.exceptions.SchemaError as error:
            return f"at {error.json_path}: {_short(error.message)}"
        except Unresolvable as error:
            return f"the reference {_short(repr(error.ref))} leads nowhere; other documents are not fetched"
        except RecursionError:
            return _TOO_DEEP
        return None

    def problem(self, text: str) -> str | None:
        """Why ``text`` does not fit, in one sentence for the model and the client; None when it fits.

        Raises a 400 for what ``broken`` could not see: a reference that leads nowhere from where it stands.
        """
        try:
            value = msgspec.json.decode(text)
        except msgspec.DecodeError as error:
            return f"it is not valid JSON: {error}"
        except RecursionError:
            return _TOO_DEEP
        if self.schema is None:
            return None if isinstance(value, dict) else "it is JSON, but not an object"
        import jsonschema
        from referencing.exceptions import Unresolvable

        try:
            misfit = jsonschema.exceptions.best_match(_validator(self.schema).iter_errors(value))
        except Unresolvable as error:
            told = f"the reference {_short(repr(error.ref))} leads nowhere; other documents are not fetched"
            raise InvalidRequest(f"Invalid schema for 'text.format': {told}", param="text.format.schema") from error
        except RecursionError:
            return _TOO_DEEP
        return None if misfit is None else f"at {misfit.json_path}: {_short(misfit.message)}"


def _validator(schema: dict[str, Any]) -> Validator:
    """Of the schema's own draft. Without a registry the library would fetch whatever URL a client names."""
    import jsonschema

    return jsonschema.validators.validator_for(schema)(schema, registry=_documents())


def _documents() -> Any:
    """What a schema may refer to beside itself: the drafts of the language."""
    from jsonschema_specifications import REGISTRY  # type: ignore[import-untyped]

    return REGISTRY


def _references(schema: Any) -> Iterator[str]:
    """Every ``$ref`` that is meant from the root: in a part with an ``$id`` of its own they mean something else."""
    if isinstance(schema, list):
        for part in schema:
            yield from _references(part)
    elif isinstance(schema, dict):
        if isinstance(reference := schema.get("$ref"), str):
            yield reference
        for key, part in schema.items():
            if key not in _DATA and not (isinstance(part, dict) and "$id" in part):
                yield from _references(part)


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
