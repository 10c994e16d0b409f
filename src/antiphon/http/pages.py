"""Lists of items, a page at a time: what a client asks for, and what it gets. OpenAI's cursor form."""

from __future__ import annotations

from typing import Any, Literal, TypedDict

import msgspec

from antiphon.http.exchange import Exchange
from antiphon.storage.model import ItemPage

_ORDERS = {"asc": "asc", "desc": "desc"}
_MAX_PAGE = 100


class PageQuery(TypedDict):
    """Which page."""

    after: str | None
    limit: int
    order: Literal["asc", "desc"]


def page_query(exchange: Exchange) -> PageQuery:
    """``after``, ``limit`` and ``order``; newest first unless asked otherwise. Raises a 400 naming the wrong one."""
    return {
        "after": exchange.query("after"),
        "limit": exchange.query_int("limit", 20, low=1, high=_MAX_PAGE),
        "order": exchange.query_choice("order", _ORDERS, default="desc"),
    }


def page_json(page: ItemPage) -> dict[str, Any]:
    """The page; its items are JSON already."""
    items = page.items
    return {
        "object": "list",
        "data": [msgspec.Raw(item.data) for item in items],
        "first_id": items[0].id if items else None,
        "last_id": items[-1].id if items else None,
        "has_more": page.has_more,
    }
