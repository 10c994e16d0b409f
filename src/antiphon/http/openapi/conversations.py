"""The operations of ``/v1/conversations``."""

from __future__ import annotations

from typing import Any

from antiphon.http.openapi.operations import INCLUDE, PAGE, body, operation, parameter

Json = dict[str, Any]

_TAG = "Conversations"
_CONVERSATION = parameter("conversation_id", "path", "Id of a conversation.", {"type": "string"}, required=True)
_ITEM = parameter("item_id", "path", "Id of an item of it.", {"type": "string"}, required=True)


def conversation_paths() -> Json:
    """All of them, by path."""
    return {
        "/v1/conversations": {"post": _create()},
        "/v1/conversations/{conversation_id}": {
            "parameters": [_CONVERSATION],
            "get": operation("getConversation", _TAG, "Get a conversation", "Conversation", 404),
            "post": _update(),
            "delete": operation("deleteConversation", _TAG, "Delete a conversation", "DeletedConversation", 404),
        },
        "/v1/conversations/{conversation_id}/items": {
            "parameters": [_CONVERSATION],
            "get": _list_items(),
            "post": _add_items(),
        },
        "/v1/conversations/{conversation_id}/items/{item_id}": {
            "parameters": [_CONVERSATION, _ITEM],
            "get": _item("getConversationItem", "Get one item of a conversation", "ListedItem"),
            "delete": _delete_item(),
        },
    }


def _create() -> Json:
    made = operation("createConversation", _TAG, "Create a conversation", "Conversation", 400, 404, 413, 415)
    made["requestBody"] = {**body("CreateConversation"), "required": False}
    return made


def _update() -> Json:
    made = operation("updateConversation", _TAG, "Replace its metadata", "Conversation", 400, 404, 413, 415)
    made["requestBody"] = body("UpdateConversation")
    return made


def _list_items() -> Json:
    made = operation("listConversationItems", _TAG, "List the items of a conversation", "ItemList", 400, 404)
    made["parameters"] = [*PAGE, INCLUDE]
    return made


def _add_items() -> Json:
    made = operation("createConversationItems", _TAG, "Append items", "ItemList", 400, 404, 409, 413, 415)
    made["description"] = "Waits for the turn that is under way, so that the order of the turns stands."
    made["parameters"] = [INCLUDE]
    made["requestBody"] = body("CreateConversationItems")
    return made


def _item(operation_id: str, summary: str, answer: str) -> Json:
    made = operation(operation_id, _TAG, summary, answer, 404)
    made["parameters"] = [INCLUDE]
    return made


def _delete_item() -> Json:
    made = operation("deleteConversationItem", _TAG, "Take an item out of a conversation", "Conversation", 404)
    made["description"] = "Every item of this id. A response that holds it as well keeps its own."
    return made
