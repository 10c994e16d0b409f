"""JSON-RPC, as MCP speaks it over HTTP: what numbers and traces a call is no part of what it asks."""

from __future__ import annotations

from typing import Any

_ID = "<id>"
#: Fields of ``_meta`` that belong to one run.
_META = frozenset({"progressToken", "traceparent", "tracestate", "baggage"})
#: Fields of the parameters that name another request by its number.
_NUMBERS = ("progressToken", "requestId")


def is_rpc(value: Any) -> bool:
    """Whether a body is one JSON-RPC message, or a batch of them."""
    if isinstance(value, list):
        return bool(value) and all(isinstance(one, dict) and "jsonrpc" in one for one in value)
    return isinstance(value, dict) and "jsonrpc" in value and ("method" in value or "id" in value)


def plain(value: Any) -> Any:
    """The messages without numbers; that there is one stays, since without it a message asks for no answer."""
    if isinstance(value, list):
        return [plain(one) for one in value]
    fields = {key: one for key, one in value.items() if key != "params" or one not in (None, {})}
    if "id" in fields:
        fields["id"] = _ID
    if isinstance(params := fields.get("params"), dict):
        params = {key: _ID if key in _NUMBERS else one for key, one in params.items()}
        if isinstance(meta := params.pop("_meta", None), dict):
            meta = {key: one for key, one in meta.items() if key not in _META}
            params |= {"_meta": meta} if meta else {}
        fields["params"] = params
    return fields
