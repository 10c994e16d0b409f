"""Structured output from back ends that do not hold themselves to a schema: check, and say what is wrong."""

from __future__ import annotations

from typing import Any

import msgspec

from antiphon.wire.chat import ChatRequest


class SchemaCheck(msgspec.Struct, frozen=True):
    """What the text must be: valid JSON, an object, and (with a ``schema``) an instance of it."""

    name: str
    schema: dict[str, Any] | None

    def broken(self) -> str | None:
        """Why the schema itself cannot be used; None when it can."""
        import jsonschema

        try:
            jsonschema.validators.validator_for(self.schema or {}).check_schema(self.schema or {})
        except jsonschema.exceptions.SchemaError as error:
            return f"at {error.json_path}: {_short(error.message)}"
        return None

    def problem(self, text: str) -> str | None:
        """Why ``text`` does not fit, in one sentence for the model and the client; None when it fits."""
        try:
            value = msgspec.json.decode(text)
        except msgspec.DecodeError as error:
            return f"it is not valid JSON: {error}"
        if self.schema is None:
            return None if isinstance(value, dict) else "it is JSON, but not an object"
        import jsonschema

        validator = jsonschema.validators.validator_for(self.schema)(self.schema)
        misfit = jsonschema.exceptions.best_match(validator.iter_errors(value))
        return None if misfit is None else f"at {misfit.json_path}: {_short(misfit.message)}"


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
