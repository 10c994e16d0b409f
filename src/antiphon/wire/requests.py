"""The body of ``POST /v1/responses`` and of ``POST /v1/responses/input_tokens``.

``parse_create`` turns bytes into a CreateResponse or raises a 400 that names the field. Null means absent for every
optional parameter; ``raw`` is the body as sent, so whether a field was there at all can still be seen. Fields that
nobody knows are accepted and listed in ``unknown``.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from antiphon.errors import InvalidRequest, UnsupportedParameter
from antiphon.wire import inputs
from antiphon.wire.inputs import InputItem, TextFormat
from antiphon.wire.parameters import REFUSABLE, refuse_unsupported
from antiphon.wire.reading import convert, decode_object, describe, missing_parameter
from antiphon.wire.tools import without_secrets

Includable = Literal[
    "file_search_call.results",
    "web_search_call.results",
    "web_search_call.action.sources",
    "message.input_image.image_url",
    "computer_call_output.output.image_url",
    "code_interpreter_call.outputs",
    "reasoning.encrypted_content",
    "message.output_text.logprobs",
]
Penalty = Annotated[float, Meta(ge=-2, le=2)]
Metadata = Annotated[
    dict[Annotated[str, Meta(max_length=64)], Annotated[str, Meta(max_length=512)]], Meta(max_length=16)
]


class ReasoningOptions(msgspec.Struct):
    """``effort`` is an open word: back ends have their own."""

    effort: str | None = None
    summary: Literal["auto", "concise", "detailed"] | None = None
    generate_summary: Literal["auto", "concise", "detailed"] | None = None
    context: Literal["auto", "current_turn", "all_turns"] | None = None
    mode: str | None = None

    @property
    def wants_summary(self) -> bool:
        """Reasoning comes back as a summary."""
        return bool(self.summary or self.generate_summary)


class TextOptions(msgspec.Struct):
    """What the answer should look like."""

    format: TextFormat | None = None
    verbosity: Literal["low", "medium", "high"] | None = None


class StreamOptions(msgspec.Struct):
    """Accepted; padding is never sent."""

    include_obfuscation: bool | None = None


class ImageOptions(msgspec.Struct):
    """How images in the context may be treated."""

    context_compression: Literal["auto", "enabled", "disabled"] | None = None


class CacheOptions(msgspec.Struct):
    """Hints about prompt caching."""

    mode: Literal["implicit", "explicit"] | None = None
    ttl: Literal["30m", "12h"] | None = None
    prewarm: bool | None = None
    comparison_response_id: str | None = None


class ConversationReference(msgspec.Struct):
    """A conversation by its id."""

    id: str


class Parameters(msgspec.Struct, kw_only=True):
    """Every parameter of a request, checked. ``None`` is absent or null. The API's description is made from this."""

    model: str
    input: str | list[InputItem] | None = None
    instructions: str | None = None
    previous_response_id: str | None = None
    store: bool | None = None
    stream: bool | None = None
    metadata: Metadata | None = None
    include: list[Includable] | None = None
    tools: list[dict[str, Any]] | None = None
    tool_choice: Literal["none", "auto", "required"] | dict[str, Any] | None = None
    parallel_tool_calls: bool | None = None
    max_tool_calls: Annotated[int, Meta(ge=1)] | None = None
    max_output_tokens: Annotated[int, Meta(ge=16)] | None = None
    temperature: Annotated[float, Meta(ge=0, le=2)] | None = None
    top_p: Annotated[float, Meta(ge=0, le=1)] | None = None
    top_logprobs: Annotated[int, Meta(ge=0, le=20)] | None = None
    presence_penalty: Penalty | None = None
    frequency_penalty: Penalty | None = None
    reasoning: ReasoningOptions | None = None
    text: TextOptions | None = None
    truncation: Literal["auto", "disabled"] | None = None
    service_tier: str | None = None
    safety_identifier: Annotated[str, Meta(max_length=128)] | None = None
    prompt_cache_key: str | None = None
    prompt_cache_options: CacheOptions | None = None
    prompt_cache_retention: str | None = None
    user: str | None = None
    stream_options: StreamOptions | None = None
    image: ImageOptions | None = None
    background: bool | None = None
    conversation: str | ConversationReference | None = None
    prompt: dict[str, Any] | None = None
    moderation: dict[str, Any] | None = None
    context_management: list[dict[str, Any]] | None = None
    access_programs: dict[str, Any] | None = None


class CreateResponse(Parameters, kw_only=True):
    """A request that was read. ``input`` is the typed view; the items as sent are ``input_items()``.

    ``raw`` is the decoded body; ``unknown`` are its fields that this API does not have.
    """

    # These two hold what was read, so no key of a body may fill them: read_create drops keys of these names.
    raw: dict[str, Any] = msgspec.field(default_factory=dict, name="")
    unknown: dict[str, Any] = msgspec.field(default_factory=dict, name=" ")

    def input_items(self) -> list[dict[str, Any]]:
        """The input as sent, as a list of items: a string becomes one user message, and each item has its ``type``.

        Credentials of tools among them are taken out, because items are stored and listed.
        """
        sent = self.raw.get("input")
        if isinstance(sent, str):
            return inputs.text_items(sent)
        return [
            item_without_secrets(item) if item["type"] in _BRINGS_TOOLS else item
            for item in inputs.named_items(sent or ())
        ]

    def typed_items(self) -> list[InputItem]:
        """The typed view of the same."""
        if isinstance(self.input, str):
            return [inputs.Message(role="user", content=self.input)]
        return self.input or []

    @property
    def conversation_id(self) -> str | None:
        """The conversation that this is a turn of, however it was named."""
        named = self.conversation
        return named if named is None or isinstance(named, str) else named.id

    @property
    def wants_logprobs(self) -> bool:
        """Log probabilities were asked for, by either of the two ways."""
        return bool(self.top_logprobs) or "message.output_text.logprobs" in (self.include or ())


_FIELDS = frozenset(field.encode_name for field in msgspec.structs.fields(Parameters))
#: Those of which no value is refused for what it asks: most requests have no others.
_PLAIN = _FIELDS - REFUSABLE
_OURS = frozenset(("", " "))
_BRINGS_TOOLS = frozenset(("additional_tools", "tool_search_output"))
COUNTED = frozenset(
    (
        "conversation",
        "input",
        "instructions",
        "model",
        "parallel_tool_calls",
        "previous_response_id",
        "reasoning",
        "text",
        "tool_choice",
        "tools",
        "truncation",
    )
)


def parse_create(body: bytes) -> CreateResponse:
    """The request in a body of ``POST /v1/responses``. Raises InvalidRequest."""
    request = read_create(decode_object(body))
    if request.input is None and request.previous_response_id is None and request.conversation is None:
        raise InvalidRequest(
            "One of 'input', 'previous_response_id' or 'conversation' must be provided.",
            param="input",
            code="missing_required_parameter",
        )
    return request


def parse_input_tokens(body: bytes) -> CreateResponse:
    """The request in a body of ``POST /v1/responses/input_tokens``: what shapes the context, and nothing else.

    ``model`` may be absent and is then empty. Raises InvalidRequest.
    """
    tree = decode_object(body)
    personality = tree.get("personality")
    if personality is not None and not (isinstance(personality, str) and len(personality) <= 64):
        raise InvalidRequest(
            f"Invalid value for 'personality': expected string of at most 64 characters, got {describe(personality)}.",
            param="personality",
            code="invalid_type",
        )
    counted = {key: value for key, value in tree.items() if key in COUNTED}
    if counted.get("model") is None:
        counted["model"] = ""
    return read_create(counted)


def read_create(tree: dict[str, Any]) -> CreateResponse:
    """The same from a decoded body, such as a stored one. Raises InvalidRequest."""
    if tree.get("model") is None:
        raise missing_parameter("model")
    items, plain = tree.get("input"), _PLAIN.issuperset(tree)
    typed = {**tree, "input": inputs.named_items(items)} if isinstance(items, list) else tree
    unknown = {} if plain else {key: value for key, value in tree.items() if key not in _FIELDS}
    if unknown and not _OURS.isdisjoint(unknown):
        typed = {key: value for key, value in typed.items() if key not in _OURS}
    request: CreateResponse = convert(typed, CreateResponse)
    request.raw = tree
    request.unknown = unknown
    if not plain:
        refuse_unsupported(tree)
    if request.conversation is not None and request.previous_response_id is not None:
        raise InvalidRequest(
            "Only one of 'conversation' and 'previous_response_id' can be provided: either says what was said before.",
            param="conversation",
            code="mutually_exclusive_parameters",
        )
    if isinstance(request.input, list):
        check_input(request.input)
    return request


def item_without_secrets(item: dict[str, Any]) -> dict[str, Any]:
    """The item without the credentials of tools that it brings along."""
    tools = item.get("tools")
    if item["type"] not in _BRINGS_TOOLS or not isinstance(tools, list):
        return item
    return {**item, "tools": without_secrets(tools)}


def check_input(items: list[InputItem], where: str = "input") -> None:
    """What the types alone cannot say, and what is not available. Raises InvalidRequest."""
    inputs.check_items(items, where)
    for n, item in enumerate(items):
        if type(item) is inputs.CompactionTrigger:
            raise UnsupportedParameter(
                f"Unsupported parameter: '{where}[{n}]': compaction on request is not available.",
                param=f"{where}[{n}].type",
            )
