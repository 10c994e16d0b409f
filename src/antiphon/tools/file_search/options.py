"""What an entry of ``tools`` of the type ``file_search`` asks for. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

import msgspec

from antiphon.knowledge.filters import Filter, parse
from antiphon.knowledge.index.base import Ranking
from antiphon.knowledge.search import DEFAULT_RESULTS, ranking_of
from antiphon.wire.reading import convert
from antiphon.wire.vector_store_requests import RankingOptions, check_ranking

#: Stores that one entry may name.
MAX_STORES = 64

_StoreId = Annotated[str, msgspec.Meta(min_length=1, max_length=256)]


class Options(msgspec.Struct, frozen=True):
    """An entry, read. ``path`` is where it stands; ``given`` are the filters and ranking options as they were sent."""

    path: str
    store_ids: tuple[str, ...]
    limit: int
    filters: Filter | None
    ranking: Ranking
    given: Mapping[str, Any]

    def place(self, store_id: str) -> str:
        """The JSON path of a store's id."""
        return f"{self.path}.vector_store_ids[{self.store_ids.index(store_id)}]"


class _Entry(msgspec.Struct, frozen=True, kw_only=True):
    vector_store_ids: Annotated[list[_StoreId], msgspec.Meta(min_length=1, max_length=MAX_STORES)]
    max_num_results: Annotated[int, msgspec.Meta(ge=1, le=50)] | None = None
    filters: dict[str, Any] | None = None
    ranking_options: RankingOptions | None = None


def read(entry: Mapping[str, Any], path: str) -> Options:
    """The options of an entry at this JSON path. Raises ``InvalidRequest``."""
    got: _Entry = convert(dict(entry), _Entry, path)
    if got.ranking_options is not None:
        check_ranking(got.ranking_options, f"{path}.ranking_options")
    return Options(
        path=path,
        store_ids=tuple(got.vector_store_ids),
        limit=got.max_num_results or DEFAULT_RESULTS,
        filters=None if got.filters is None else parse(got.filters, f"{path}.filters"),
        ranking=ranking_of(got.ranking_options),
        given={name: entry[name] for name in ("filters", "ranking_options") if entry.get(name) is not None},
    )
