"""What models a back end says it serves, and how much each can read; asked seldom, remembered shortly.

A list that cannot be had never makes a request wait twice: the failure is remembered too, and the old list stays.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Any

import msgspec

from antiphon.errors import UpstreamError

#: How long a list, and a failure to get one, is believed. Seconds.
FRESH_SECONDS = 60.0
FAILED_SECONDS = 5.0

MAX_MODELS = 10_000

#: Where lists state how many tokens a model can read; the first that holds counts.
WINDOW_PATHS: tuple[tuple[str, ...], ...] = (
    ("max_model_len",),  # vLLM, SGLang
    ("loaded_context_length",),  # LM Studio: what is loaded counts, not what could be
    ("meta", "n_ctx"),  # llama-server: what is loaded
    ("meta", "n_ctx_train"),  # llama-server
    ("context_length",),  # OpenRouter, Together
    ("top_provider", "context_length"),  # OpenRouter
    ("max_context_length",),  # LM Studio, Mistral
    ("context_window",),  # Groq
    ("max_input_tokens",),  # Anthropic's door, LiteLLM
    ("max_context_tokens",),
    ("limits", "max_input_tokens"),  # GitHub Models
    ("inputTokenLimit",),  # Gemini
)

#: An asked back end gives the decoded list, or raises ``UpstreamError``.
Fetch = Callable[[], Awaitable[Any]]


def models_of(answer: Any) -> list[dict[str, Any]]:
    """The models of a decoded ``/models`` answer, whichever of the known forms it has.

    Raises ``msgspec.ValidationError`` when it is no list of models.
    """
    found = answer
    if isinstance(answer, dict):
        found = next((answer[k] for k in ("data", "models") if isinstance(answer.get(k), list)), None)
    if not isinstance(found, list):
        raise msgspec.ValidationError("not a list of models")
    models = []
    for entry in found[:MAX_MODELS]:
        if isinstance(entry, str):
            models.append({"id": entry, "object": "model", "created": 0, "owned_by": "upstream"})
        elif isinstance(entry, dict):
            name = next((entry[k] for k in ("id", "name", "model") if isinstance(entry.get(k), str)), None)
            if name:
                models.append({"object": "model", "created": 0, "owned_by": "upstream", **entry, "id": name})
    return models


def window_of(model: dict[str, Any]) -> int | None:
    """Tokens that a listed model can read, where its entry says so."""
    for path in WINDOW_PATHS:
        found: Any = model
        for key in path:
            found = found.get(key) if isinstance(found, dict) else None
        if isinstance(found, str) and found.isdecimal():
            found = int(found)
        if isinstance(found, int) and not isinstance(found, bool) and found > 0:
            return found
    return None


class ModelList:
    """One back end's list, fetched when asked for and kept ``fresh`` seconds."""

    def __init__(self, fetch: Fetch, fresh: float = FRESH_SECONDS, failed: float = FAILED_SECONDS) -> None:
        self._fetch = fetch
        self._fresh = fresh
        self._failed = failed
        self._until = 0.0
        self._lock = asyncio.Lock()
        self._models: dict[str, dict[str, Any]] = {}
        self.failure: UpstreamError | None = None
        """Why the last asking failed; None when it did not."""

    @property
    def known(self) -> dict[str, dict[str, Any]]:
        """The models by id, as last heard; no asking."""
        return self._models

    @property
    def fresh(self) -> bool:
        """Whether ``get`` would answer without asking."""
        return time.monotonic() < self._until

    async def get(self) -> dict[str, dict[str, Any]]:
        """The models by id; asks when the list is old, once for all who wait. Never raises for the back end's sake."""
        if self.fresh:
            return self._models
        async with self._lock:
            if time.monotonic() < self._until:  # another one asked meanwhile
                return self._models
            try:
                self._models = {m["id"]: m for m in models_of(await self._fetch())}
            except msgspec.ValidationError as odd:
                self.failure = UpstreamError(f"The answer to /models is {odd}.", code="upstream_bad_data")
                self._until = time.monotonic() + self._failed
            except UpstreamError as failure:
                self.failure = failure
                self._until = time.monotonic() + self._failed
            else:
                self.failure = None
                self._until = time.monotonic() + self._fresh
        return self._models

    def window(self, model: str) -> int | None:
        """Tokens that the model can read, as the list last said."""
        entry = self._models.get(model)
        return None if entry is None else window_of(entry)
