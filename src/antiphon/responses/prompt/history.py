"""Questions about items before they are rendered: what they refer to, and what can be left out.

All on plain item dicts, as they are sent and stored; nothing is changed in place.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import urlsplit

from antiphon.errors import NotFound
from antiphon.responses.prompt.files import is_image_url

ItemDict = dict[str, Any]

#: Items that say how to go on rather than what was said: kept when turns are dropped.
_STANDING = frozenset({"additional_tools", "configuration_update", "tool_search_output"})
_STANDING_ROLES = frozenset({"system", "developer"})
#: No set: a type in an item that was stored may be anything, also what cannot be looked up.
_TEXTS = ("input_text", "output_text", "text", "reasoning_text", "summary_text", "refusal")


def references(items: Sequence[ItemDict]) -> list[str]:
    """The ids of stored items that stand in for themselves, each once, in order."""
    return list(dict.fromkeys([str(item["id"]) for item in items if item.get("type") == "item_reference"]))


def resolve(items: Sequence[ItemDict], found: Mapping[str, ItemDict]) -> list[ItemDict]:
    """The items with every reference replaced. Raises NotFound for one that is not in ``found``."""
    return [_resolved(item, n, found) for n, item in enumerate(items)]


def _resolved(item: ItemDict, n: int, found: Mapping[str, ItemDict]) -> ItemDict:
    if item.get("type") != "item_reference":
        return item
    if item["id"] not in found:
        raise NotFound(
            f"Item with id '{item['id']}' not found. Items are kept only when 'store' is true.", param=f"input[{n}].id"
        )
    return found[item["id"]]


def may_hold_files(items: Sequence[ItemDict]) -> bool:
    """Whether any part of them is more than text, so that it is worth to look for files."""
    for item in items:
        for parts in (item.get("content"), item.get("output")):
            if isinstance(parts, dict):
                return True
            if isinstance(parts, list):
                for part in parts:
                    if isinstance(part, dict) and part.get("type") not in _TEXTS:
                        return True
    return False


def file_urls(items: Sequence[ItemDict]) -> list[str]:
    """URLs of files to fetch before rendering, each once, in order. Pictures are the back end's to fetch."""
    return list(dict.fromkeys(part["file_url"] for item in items for part in _parts(item) if _to_fetch(part)))


def inline_files(items: Sequence[ItemDict], fetched: Mapping[str, str]) -> list[ItemDict]:
    """The items with the files of ``fetched`` (URL to ``data:`` URL) put in their places."""
    return [_inlined(item, fetched) for item in items]


def _inlined(item: ItemDict, fetched: Mapping[str, str]) -> ItemDict:
    if not any(_to_fetch(part) and part["file_url"] in fetched for part in _parts(item)):
        return item
    key = "output" if isinstance(item.get("output"), list) else "content"
    return {**item, key: [_with_data(part, fetched) for part in item[key]]}


def _with_data(part: Any, fetched: Mapping[str, str]) -> Any:
    if not (isinstance(part, dict) and _to_fetch(part) and part["file_url"] in fetched):
        return part
    url = part["file_url"]
    kept = {key: value for key, value in part.items() if key != "file_url"}
    name = part.get("filename") or urlsplit(url).path.rpartition("/")[2] or None
    return {**kept, "file_data": fetched[url], "filename": name}


def _parts(item: ItemDict) -> list[ItemDict]:
    content = item.get("output") if isinstance(item.get("output"), list) else item.get("content")
    return [part for part in content if isinstance(part, dict)] if isinstance(content, list) else []


def _to_fetch(part: ItemDict) -> bool:
    url = part.get("file_url")
    if part.get("type") != "input_file" or not isinstance(url, str) or part.get("file_data"):
        return False
    return not url.startswith("data:") and not is_image_url(url)


def drop_oldest_turn(items: Sequence[ItemDict]) -> list[ItemDict] | None:
    """The items without their oldest turn, for ``truncation: auto``; None when only the last turn is left.

    A turn goes from its user messages to the next. System and developer messages stay, and so do added tools and
    changed settings; a result whose call is dropped goes with it.
    """
    starts = [n for n, item in enumerate(items) if _is_user(item) and not (n and _is_user(items[n - 1]))]
    first = next((n for n, item in enumerate(items) if not _stands(item)), None)
    if first is None or not starts:
        return None
    cut = next((start for start in starts if start > first), None)
    if cut is None:
        return None
    dropped = [item for item in items[:cut] if not _stands(item)]
    kept = [item for n, item in enumerate(items) if n >= cut or _stands(item)]
    return _without_results(kept, dropped)


def _without_results(kept: Sequence[ItemDict], dropped: Sequence[ItemDict]) -> list[ItemDict]:
    """``kept`` without the results of dropped calls; an id may come again, so each dropped call takes one result."""
    aliases = {item.get("id"): item.get("call_id") for item in dropped if item.get("type") == "local_shell_call"}
    open_calls: Counter[Any] = Counter()
    for item in dropped:
        open_calls[_call_key(item, aliases)] += -1 if _is_output(item) else 1
    open_calls[None] = 0
    left = []
    for item in kept:
        key = _call_key(item, aliases) if _is_output(item) else None
        if open_calls[key] > 0:
            open_calls[key] -= 1
        else:
            left.append(item)
    return left


def _call_key(item: ItemDict, aliases: Mapping[Any, Any]) -> Any:
    """The call an item belongs to, None when to none; a local shell's result may name the call by its item id."""
    if item.get("type") == "local_shell_call_output" and item.get("call_id") is None:
        return aliases.get(item.get("id"), item.get("id"))
    return item.get("call_id")


def _is_output(item: ItemDict) -> bool:
    return str(item.get("type")).endswith("_output")


def _is_user(item: ItemDict) -> bool:
    return item.get("role") == "user" and item.get("type") in (None, "message")


def _stands(item: ItemDict) -> bool:
    return item.get("type") in _STANDING or item.get("role") in _STANDING_ROLES
