"""The chat request: messages, tools and parameters, always streamed, never anything random or timed.

Fields that were not asked for are left out. ``store`` and ``metadata`` are ours and never go to a model.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from antiphon.config import UpstreamConfig
from antiphon.errors import InvalidRequest
from antiphon.responses.prompt.messages import Manner, messages_of, text_messages
from antiphon.responses.toolbox import Toolbox
from antiphon.wire.chat import ChatRequest
from antiphon.wire.inputs import ConfigurationUpdate, FormatJsonSchema, FormatText, InputItem, TextFormat, read_items
from antiphon.wire.parameters import FORWARDED
from antiphon.wire.requests import CreateResponse

ItemDict = dict[str, Any]

_FORWARDED = frozenset(name for name, _ in FORWARDED)
#: What else of a request shapes the parameters of its chat request.
_SHAPING = _FORWARDED | {"include", "max_output_tokens", "reasoning", "text"}


def _opens_nothing(_sealed: str) -> str | None:
    return None


def render(
    request: CreateResponse,
    toolbox: Toolbox,
    config: UpstreamConfig,
    model: str,
    *,
    history: Sequence[ItemDict] = (),
    items: Sequence[ItemDict] | None = None,
    produced: Sequence[ItemDict] = (),
    open_sealed: Callable[[str], str | None] = _opens_nothing,
    first_round: bool = True,
    max_output_tokens: int | None = None,
) -> ChatRequest:
    """The body of one ``POST /chat/completions``.

    ``history``: items of earlier responses, in and out, oldest first. ``items``: the input (the request's own unless
    given, for instance with references resolved). ``produced``: what this response has already added, with the results
    of tools. ``first_round``: no model call of this response came before. ``max_output_tokens``: what is left of the
    request's limit. Raises InvalidRequest for input that no model can be shown.
    """
    sent, said = request.input, []
    if items is None and type(sent) is str and sent and not history and not produced:
        messages = text_messages(request.instructions, sent)
    else:
        said = read_items(history, "history") if history else []
        said += request.typed_items() if items is None else read_items(items)
        if produced:
            said += read_items(produced, "output")
        manner = Manner(
            toolbox=toolbox,
            developer_role=config.developer_role,
            reasoning_field=config.send_reasoning,
            all_reasoning=request.reasoning is not None and request.reasoning.context == "all_turns",
            open_sealed=open_sealed,
            input_from=len(history),
        )
        messages = messages_of(request.instructions, said, manner)
    if not messages:
        raise InvalidRequest("The input holds nothing that a model could answer.", param="input", code="invalid_value")
    chat: ChatRequest = {
        "model": model,
        "messages": messages,
        **toolbox.fields(first_round=first_round),
        **_parameters(request, said, config, max_output_tokens),
    }
    if config.forward_unknown and request.unknown:
        chat.update((key, value) for key, value in request.unknown.items() if value is not None and key not in chat)
    chat["stream"] = True
    chat["stream_options"] = {"include_usage": True}
    return chat


def _parameters(
    request: CreateResponse, said: Sequence[InputItem], config: UpstreamConfig, limit: int | None
) -> dict[str, Any]:
    if limit is None and _SHAPING.isdisjoint(request.raw) and not (said and ConfigurationUpdate in map(type, said)):
        return {}
    chat: dict[str, Any] = {}
    if not _FORWARDED.isdisjoint(request.raw):
        for name, chat_name in FORWARDED:
            if (value := getattr(request, name)) is not None:
                chat[chat_name] = value
    if request.wants_logprobs:
        chat["logprobs"] = True
    elif chat.get("top_logprobs") == 0:
        del chat["top_logprobs"]  # back ends refuse it without logprobs, and it asks for nothing
    limit = request.max_output_tokens if limit is None else limit
    if limit is not None:
        chat[config.max_tokens_field] = limit
    effort, form = _effort_and_format(request, said)
    if effort is not None:
        chat["reasoning_effort"] = effort
    if form is not None and not isinstance(form, FormatText):
        chat["response_format"] = _response_format(form)
    if request.text is not None and request.text.verbosity is not None:
        chat["verbosity"] = request.text.verbosity
    return chat


def _effort_and_format(request: CreateResponse, said: Sequence[InputItem]) -> tuple[str | None, TextFormat | None]:
    """The request's own, unless a ``configuration_update`` among the items changed them; the last one wins."""
    effort = request.reasoning.effort if request.reasoning else None
    form = request.text.format if request.text else None
    for item in said:
        if type(item) is ConfigurationUpdate:
            effort = (item.reasoning.effort if item.reasoning else None) or effort
            form = (item.text.format if item.text else None) or form
    return effort, form


def _response_format(form: TextFormat) -> dict[str, Any]:
    if not isinstance(form, FormatJsonSchema):
        return {"type": "json_object"}
    schema: dict[str, Any] = {"name": form.name, "schema": form.schema}
    if form.description is not None:
        schema["description"] = form.description
    if form.strict is not None:
        schema["strict"] = form.strict
    return {"type": "json_schema", "json_schema": schema}
