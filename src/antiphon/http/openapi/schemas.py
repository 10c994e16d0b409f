"""The shapes: from msgspec's structs where there are structs, and by hand for what is only passed on.

msgspec knows types; what it cannot know is added here: that our replies leave nothing out, which values are refused
(``wire/parameters``), and the short forms in which clients may write an input item.
"""

from __future__ import annotations

from typing import Any, Literal, get_args

import msgspec
from msgspec import UNSET

from antiphon.http.openapi import passed
from antiphon.http.openapi.vector_stores import VECTOR_STORE_BODIES, VECTOR_STORE_REPLIES, narrow_vector_stores
from antiphon.wire import inputs, items, response
from antiphon.wire.conversation_requests import (
    MAX_ITEMS,
    CreateConversation,
    CreateConversationItems,
    UpdateConversation,
)
from antiphon.wire.file_requests import CompleteUpload, CreateUpload
from antiphon.wire.requests import COUNTED, Parameters
from antiphon.wire.response import Response

Json = dict[str, Any]

_REF = "#/components/schemas/"
_NULL: Json = {"type": "null"}


class ErrorDetail(msgspec.Struct):
    """What went wrong; `param` is the JSON path of the field at fault."""

    message: str
    type: str
    param: str | None
    code: str | int | None


class Error(msgspec.Struct):
    """Every failure has this form."""

    error: ErrorDetail


class InputTokens(msgspec.Struct, tag_field="object", tag="response.input_tokens"):
    """The size of a request as the model would read it."""

    input_tokens: int


class DeletedResponse(msgspec.Struct, tag_field="object", tag="response"):
    """The response is gone."""

    id: str
    deleted: bool


class Conversation(msgspec.Struct, tag_field="object", tag="conversation"):
    """A conversation; its items are listed by themselves."""

    id: str
    created_at: int
    metadata: dict[str, str]


class DeletedConversation(msgspec.Struct, tag_field="object", tag="conversation.deleted"):
    """The conversation is gone."""

    id: str
    deleted: bool


class ListedItem(msgspec.Struct):
    """An item as it is kept; what else it holds depends on its type."""

    id: str
    type: str


class ItemList(msgspec.Struct, tag_field="object", tag="list"):
    """One page."""

    data: list[ListedItem]
    first_id: str | None
    last_id: str | None
    has_more: bool


class File(msgspec.Struct, tag_field="object", tag="file"):
    """What is known of a file. It can be used at once, so its status is always `processed`."""

    id: str
    bytes: int
    created_at: int
    expires_at: int | None
    filename: str
    purpose: str
    status: str
    status_details: str | None


class FileList(msgspec.Struct, tag_field="object", tag="list"):
    """One page of files."""

    data: list[File]
    first_id: str | None
    last_id: str | None
    has_more: bool


class DeletedFile(msgspec.Struct, tag_field="object", tag="file"):
    """The file is gone, with its content."""

    id: str
    deleted: bool


class Upload(msgspec.Struct, tag_field="object", tag="upload"):
    """A file that comes in parts; `file` is what it became."""

    id: str
    bytes: int
    created_at: int
    expires_at: int
    filename: str
    purpose: str
    status: Literal["pending", "completed", "cancelled", "expired"]
    file: File | None


class UploadPart(msgspec.Struct, tag_field="object", tag="upload.part"):
    """One part of an upload."""

    id: str
    created_at: int
    upload_id: str


class Model(msgspec.Struct, tag_field="object", tag="model"):
    """A model, by the name to ask it by; what else its back end says of it is kept."""

    id: str
    created: int
    owned_by: str


class ModelList(msgspec.Struct, tag_field="object", tag="list"):
    """All models of all back ends."""

    data: list[Model]


class Health(msgspec.Struct):
    """The server is up."""

    status: str


def components() -> Json:
    """Schemas and headers."""
    read = _schemas(
        *(Parameters, CreateConversation, UpdateConversation, CreateConversationItems, CreateUpload, CompleteUpload),
        *VECTOR_STORE_BODIES,
    )
    written = _schemas(
        *(Response, Error, InputTokens, DeletedResponse, ItemList, Model, ModelList, Health),
        *(Conversation, DeletedConversation),
        *(File, FileList, DeletedFile, Upload, UploadPart),
        *VECTOR_STORE_REPLIES,
    )
    _complete(written)
    for name in read.keys() & written.keys():
        read = _renamed(read, name, f"Sent{name}")
    read = _renamed(read, "Parameters", "CreateResponse")
    _narrow(read)
    narrow_vector_stores(read)
    schemas = {**read, **written, **passed.schemas(), "Document": {"type": "object", "title": "Document"}}
    schemas["ResponseEvent"] = _event(
        "One event; its `event:` line is equal to its `type`, and `sequence_number` counts from 0 without a gap.",
        {"type": {"type": "string"}, "sequence_number": {"type": "integer", "minimum": 0}},
    )
    schemas["ChunkEvent"] = _event("A piece of the answer, or the `error` that ended it.", {})
    request_id = {"description": "Id of this request, as it stands in the log.", "schema": {"type": "string"}}
    return {
        "schemas": dict(sorted(schemas.items())),
        "headers": {"RequestId": {**request_id, "required": True}},
    }


def _schemas(*types: type[msgspec.Struct]) -> dict[str, Json]:
    """The schemas of these structs and of all they hold, by name."""
    _, found = msgspec.json.schema_components(types, ref_template=_REF + "{name}")
    for schema in found.values():
        schema["description"] = schema.get("description", "").replace("``", "`")
        for field in schema.get("properties", {}).values():
            if field.get("default", ...) is None:
                del field["default"]  # null is how one says "not given"; it is no value of its own
    return dict(found)


def _renamed(schemas: dict[str, Json], old: str, new: str) -> dict[str, Json]:
    """The same with one schema under another name, there and wherever it is named."""
    text = msgspec.json.encode(schemas).replace(f'"{_REF}{old}"'.encode(), f'"{_REF}{new}"'.encode())
    return {new if name == old else name: schema for name, schema in msgspec.json.decode(text).items()}


def _complete(written: dict[str, Json]) -> None:
    """What we write has all its keys, but those that are left out when they hold nothing."""
    for struct in (*vars(items).values(), *vars(response).values()):
        if isinstance(struct, type) and issubclass(struct, msgspec.Struct) and struct.__name__ in written:
            schema = written[struct.__name__]
            absent = {field.encode_name for field in msgspec.structs.fields(struct) if field.default is UNSET}
            schema["required"] = [name for name in schema["properties"] if name not in absent]


def _narrow(read: dict[str, Json]) -> None:
    """What the structs let pass and is refused all the same, and the short forms that are accepted."""
    create = read["CreateResponse"]["properties"]
    create["model"] = {"type": "string", "minLength": 1, "description": "Chooses the back end."}
    create["input"] = {"anyOf": [{"type": "string"}, {"type": "array", "items": _ref("InputItem")}, _NULL]}
    create["background"] = {"enum": [False, None], "description": "Background runs are not available."}
    for name in ("prompt", "moderation"):
        create[name] = {**_NULL, "description": "Not available."}
    create["context_management"] = {"type": ["array", "null"], "maxItems": 0, "description": "Not available."}
    typed = {"type": "object", "properties": {"type": {"type": "string"}}, "required": ["type"]}
    create["tools"] = {"type": ["array", "null"], "items": typed}
    create["tool_choice"] = {"anyOf": [{"enum": ["none", "auto", "required"]}, typed, _NULL]}
    read["ReasoningOptions"]["properties"]["mode"] = {"enum": ["standard", None]}
    read["CacheOptions"]["properties"]["prewarm"] = {"enum": [False, None]}
    read["ImageOptions"]["properties"]["context_compression"] = {"enum": ["auto", "disabled", None]}
    read["InputItem"] = _input_item()
    read["EasyMessage"] = _untyped(read["SentMessage"], "A message that does not say its type.")
    read["BareReference"] = {
        "type": "object",
        "description": "The id of a stored item, and nothing that makes it a message.",
        "properties": {"type": _NULL, "id": {"type": "string", "minLength": 1}},
        "required": ["id"],
        "not": {"anyOf": [{"required": ["role"]}, {"required": ["content"]}]},
    }
    read["CountInputTokens"] = _counted(read["CreateResponse"])
    read["CreateResponse"]["anyOf"] = [_given("input"), _given("previous_response_id"), _given("conversation")]
    both = {"not": {"allOf": [_given("previous_response_id"), _given("conversation")]}}
    read["CreateResponse"].update(both)
    read["CountInputTokens"].update(both)
    _narrow_items(read)


def _narrow_items(read: dict[str, Json]) -> None:
    """Conversations take the items that a response takes."""
    for name, null in (("CreateConversation", True), ("CreateConversationItems", False)):
        items = {"type": "array", "items": _ref("InputItem"), "maxItems": MAX_ITEMS}
        if not null:
            items["minItems"] = 1
        read[name]["properties"]["items"] = {"anyOf": [items, _NULL]} if null else items


def _given(name: str) -> Json:
    return {"required": [name], "properties": {name: {"not": _NULL}}}


def _input_item() -> Json:
    """Every type of item, by its ``type``, and the two that need not say it."""
    kinds = {struct.__struct_config__.tag: struct.__name__ for struct in get_args(inputs.InputItem)}
    shared = set(vars(items)) | set(vars(response))
    refs = {tag: _ref(f"Sent{name}" if name in shared else name)["$ref"] for tag, name in kinds.items()}
    typed = {
        "oneOf": [{"$ref": ref} for ref in refs.values()],
        "discriminator": {"propertyName": "type", "mapping": refs},
    }
    return {"anyOf": [typed, _ref("EasyMessage"), _ref("BareReference")]}


def _untyped(message: Json, says: str) -> Json:
    required = [name for name in message["required"] if name != "type"]
    return {
        **message,
        "description": says,
        "properties": {**message["properties"], "type": _NULL},
        "required": required,
    }


def _counted(create: Json) -> Json:
    """Of a request, what shapes the context."""
    fields = {name: schema for name, schema in create["properties"].items() if name in COUNTED}
    fields["personality"] = {"type": ["string", "null"], "maxLength": 64, "description": "Accepted; not counted."}
    return {**create, "title": "CountInputTokens", "description": "A request to be counted.", "properties": fields}


def _event(says: str, properties: Json) -> Json:
    """An event of a stream, by its lines; the last one's data is ``[DONE]``."""
    data = {"type": "object", "properties": properties, "required": list(properties)}
    return {
        "type": "object",
        "description": says,
        "properties": {
            "event": {"type": "string"},
            "data": {
                "anyOf": [
                    {"const": "[DONE]"},
                    {"type": "string", "contentMediaType": "application/json", "contentSchema": data},
                ]
            },
        },
    }


def _ref(name: str) -> Json:
    return {"$ref": _REF + name}
