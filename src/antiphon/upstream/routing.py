"""Which back end answers for a model name: an exact listed id, then an upstream's name as a prefix, then the default.

Only the model's name is rewritten. Back ends are asked for their lists only when the answer depends on them, all at
once, and one that does not answer in time is passed over.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

import msgspec

from antiphon.errors import ModelNotFound
from antiphon.upstream.chat import Upstream


class Route(msgspec.Struct, frozen=True):
    """The back end, and the model's name there."""

    upstream: Upstream
    model: str


class Router:
    """Chooses a back end by model name, and merges their lists."""

    def __init__(self, upstreams: Mapping[str, Upstream], default: str | None, demo: Upstream | None) -> None:
        """``upstreams`` by name, in order of preference; ``default`` is one of those names; ``demo`` is always there.

        Raises ``ValueError`` for a default that is not among them.
        """
        if default is not None and default not in upstreams:
            raise ValueError(f"the default upstream '{default}' is not configured")
        self._demo = demo if demo is None or demo.name not in upstreams else None
        self._upstreams = dict(upstreams)
        self._default = self._upstreams.get(default) if default is not None else None
        #: The back ends, the default first.
        self._ordered = sorted(self._upstreams.values(), key=lambda upstream: upstream is not self._default)
        everyone = [*([self._demo] if self._demo is not None else []), *self._ordered]
        #: The models that configurations name; where several name one, it is the first's.
        self._named = {m: Route(upstream, m) for upstream in reversed(everyone) for m in upstream.config.models}

    @property
    def upstreams(self) -> dict[str, Upstream]:
        """All back ends by name, the demo model's last."""
        return {**self._upstreams, **({self._demo.name: self._demo} if self._demo is not None else {})}

    @property
    def default(self) -> Upstream | None:
        """The back end of names that no list knows."""
        return self._default

    async def resolve(self, model: str) -> Route:
        """The route of a model name. Raises ``ModelNotFound`` with ``param`` "model"."""
        named = self._named.get(model)
        if named is not None:
            return named
        prefix, slash, rest = model.partition("/")
        by_name = self.upstreams.get(prefix) if slash and rest else None
        if by_name is None and len(self._upstreams) == 1 and self._default is not None:
            return Route(self._default, model)  # no list could change the answer
        for upstream, models in await self._lists():
            if model in models:
                return Route(upstream, model)
        if by_name is not None:
            return Route(by_name, rest)
        if self._default is not None:
            return Route(self._default, model)
        raise self._unknown(model)

    async def list_models(self) -> list[dict[str, Any]]:
        """Every model there is, for ``/v1/models``: by its own id, or ``name/id`` where two back ends serve one id."""
        found: list[tuple[str, dict[str, Any]]] = []
        await self._lists()
        for upstream in self._everyone():
            found.extend((upstream.name, model) for model in await upstream.models())
        count: dict[str, int] = {}
        for _, model in found:
            count[model["id"]] = count.get(model["id"], 0) + 1
        return [model if count[model["id"]] == 1 else {**model, "id": f"{name}/{model['id']}"} for name, model in found]

    async def model(self, model: str) -> dict[str, Any]:
        """One entry of the list, by any name that ``resolve`` finds a listed model for. Raises ``ModelNotFound``."""
        route = await self.resolve(model)
        for entry in await route.upstream.models():
            if entry["id"] == route.model:
                return {**entry, "id": model}
        raise self._unknown(model)

    def _everyone(self) -> list[Upstream]:
        return [*self._ordered, *([self._demo] if self._demo is not None else [])]

    async def _lists(self) -> list[tuple[Upstream, Mapping[str, Any]]]:
        """Each back end and its models as far as known; the old lists are asked for anew, all at once."""
        stale = [u for u in self._ordered if not u.listing.fresh]
        if stale:
            await asyncio.gather(*(u.listing.get() for u in stale))
        return [(u, u.listing.known) for u in self._ordered]

    def _unknown(self, model: str) -> ModelNotFound:
        return ModelNotFound(f"The model '{model}' does not exist: no upstream serves it.", param="model")
