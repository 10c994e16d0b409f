"""The routes of ``/v1/models``: every model of every back end, under the names that requests may use."""

from __future__ import annotations

from typing import Any

from antiphon.http.exchange import Exchange
from antiphon.upstream.routing import Router


class Models:
    """Handlers over one ``Router``."""

    def __init__(self, router: Router) -> None:
        self._router = router

    async def list(self, exchange: Exchange) -> None:
        """``GET /v1/models``."""
        models = await self._router.list_models()
        await exchange.json({"object": "list", "data": [_entry(model) for model in models]})

    async def get(self, exchange: Exchange) -> None:
        """``GET /v1/models/{model}``; the id may hold slashes, plain or percent-encoded. Raises ``ModelNotFound``."""
        await exchange.json(_entry(await self._router.model(exchange.path("model"))))


def _entry(model: dict[str, Any]) -> dict[str, Any]:
    """What the back end says of a model, with the four keys that clients read in the types they expect."""
    created, owner = model.get("created"), model.get("owned_by")
    return {
        **model,
        "object": "model",
        "created": int(created) if isinstance(created, int | float) else 0,
        "owned_by": owner if isinstance(owner, str) else "upstream",
    }
