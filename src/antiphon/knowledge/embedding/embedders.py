"""The embedders by name: the one that comes along, those of folders, and any model that an endpoint serves."""

from __future__ import annotations

import asyncio
from pathlib import Path

from antiphon.config import EmbeddingModelConfig, KnowledgeConfig
from antiphon.errors import InvalidRequest, ModelNotFound
from antiphon.knowledge.arrays import numpy
from antiphon.knowledge.embedding.base import Embedder
from antiphon.knowledge.embedding.offline import Network, OfflineEmbedder
from antiphon.knowledge.embedding.remote import AT_ONCE, RemoteEmbedder
from antiphon.upstream.routing import Router

#: The model that comes along.
BUILT_IN = "all-MiniLM-L6-v2"
_OTHER_NAMES = frozenset({BUILT_IN.lower(), "sentence-transformers/all-minilm-l6-v2", "all-minilm", "all-minilm:l6-v2"})


class Embedders:
    """One for the whole server."""

    def __init__(self, config: KnowledgeConfig, router: Router) -> None:
        self._config = config
        self._router = router
        self._slots = asyncio.Semaphore(AT_ONCE)
        self._made: dict[str, Embedder] = {}

    @property
    def default(self) -> str:
        """The model of stores that name none."""
        return self._config.embedding_model

    def named(self, model: str | None = None) -> Embedder:
        """The embedder of this name, else the default's. An endpoint is asked for its models only when it is used."""
        name = model or self.default
        configured = self._config.models.get(name)
        if configured is None and name.lower() in _OTHER_NAMES:
            name = BUILT_IN
        if name not in self._made:
            if len(self._made) >= _MOST:
                raise InvalidRequest(f"More than {_MOST} embedding models are in use.", param="embedding_model")
            self._made[name] = self._make(name, configured or EmbeddingModelConfig())
        return self._made[name]

    async def check(self, model: str | None = None) -> Embedder:
        """The same, when there is such a model. Raises ``ModelNotFound``, which says which there are."""
        embedder = self.named(model)
        if isinstance(embedder, RemoteEmbedder):
            try:
                await self._router.resolve(embedder.model)
            except ModelNotFound as unknown:
                there = [BUILT_IN, *(name for name in self._config.models if name != BUILT_IN)]
                raise ModelNotFound(
                    f"The embedding model '{embedder.model}' does not exist: no upstream serves it. "
                    f"Here there are {', '.join(repr(name) for name in there)}, and whatever models an upstream has.",
                    param="embedding_model",
                ) from unknown
        return embedder

    async def aclose(self) -> None:
        """End the threads of the models that compute here."""
        for embedder in self._made.values():
            if isinstance(embedder, OfflineEmbedder):
                await embedder.aclose()

    def _make(self, name: str, config: EmbeddingModelConfig) -> Embedder:
        if name == BUILT_IN and not config.path:
            return OfflineEmbedder(name, 384, _built_in)
        if config.path:
            from antiphon.knowledge.embedding.local import prefixes_of

            document, query = prefixes_of(name)
            return OfflineEmbedder(
                name,
                config.dimensions or None,
                lambda: _local(name, config),
                document_prefix=document if config.document_prefix is None else config.document_prefix,
                query_prefix=query if config.query_prefix is None else config.query_prefix,
            )
        return RemoteEmbedder(
            name,
            self._router,
            self._slots,
            batch=self._config.embedding_batch,
            dimensions=config.dimensions,
            document_prefix=config.document_prefix or "",
            query_prefix=config.query_prefix or "",
        )


#: Names that are remembered; stores are made by clients, and so are their names of models.
_MOST = 256


def _built_in() -> Network:
    numpy()
    from antiphon.knowledge.embedding.minilm import load

    return load()


def _local(name: str, config: EmbeddingModelConfig) -> Network:
    from antiphon.knowledge.embedding.local import CannotLoad, OnnxModel

    numpy()
    try:
        return OnnxModel(Path(config.path), max_tokens=config.max_tokens, dimensions=config.dimensions)
    except CannotLoad as why:
        raise InvalidRequest(f"The embedding model '{name}' cannot be loaded: {why}.", param="embedding_model") from why
