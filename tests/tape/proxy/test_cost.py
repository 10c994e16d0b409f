"""What recording costs: tokens as the other side counted them, and a budget that stops before the next call."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import openai
import pytest

from tests.cli.tape.support import run_json
from tests.scripted import Scripted, scripted
from tests.tape.proxy.support import Running, proxy

__all__ = ["scripted"]


def ask(running: Running, words: str, *, stream: bool) -> int:
    """A call; the tokens that it cost."""
    messages: Any = [{"role": "user", "content": words}]
    client = running.sdk("cost")
    if not stream:
        usage = client.chat.completions.create(model="scripted", messages=messages).usage
        assert usage is not None
        return usage.total_tokens
    chunks = client.chat.completions.create(
        model="scripted", messages=messages, stream=True, stream_options={"include_usage": True}
    )
    return sum(chunk.usage.total_tokens for chunk in chunks if chunk.usage is not None)


def test_the_tokens_of_the_statistics_are_those_of_the_upstream(scripted: Scripted, tmp_path: Path) -> None:
    """Streamed or not; while recording, in the files, and saved on replay."""
    scripted.reset()
    asked = [(f"<<long {n}>> number {n}", n % 2 == 0) for n in range(3, 9)]
    with proxy(tmp_path, scripted.url, upstreams={"openai": scripted.url}) as running:
        cost = sum(ask(running, words, stream=stream) for words, stream in asked)
        running.files()
        assert running.control("GET", "stats?scope=cost")["tokens_recorded"] == cost
    assert sum(run_json(tmp_path, "stats")["tokens"].values()) == cost > 0
    with proxy(tmp_path, scripted.url, "replay") as running:
        assert sum(ask(running, words, stream=stream) for words, stream in asked) == cost
        assert running.control("GET", "stats")["tokens_replayed"] == cost
    assert len(scripted.requests()) == len(asked)


def test_a_spent_budget_stops_before_the_next_call(scripted: Scripted, tmp_path: Path) -> None:
    """It is a refusal that is not tried again; what is recorded is still played."""
    scripted.reset()
    with proxy(tmp_path, scripted.url, settings={"budget": 1}) as running:
        assert ask(running, "one", stream=True) > 1
        running.files()
        with pytest.raises(openai.APIStatusError) as caught:
            ask(running, "two", stream=True)
        assert (caught.value.status_code, caught.value.code) == (424, "recording_budget_spent")
        running.control("POST", "scopes/start", {"scope": "cost"})
        assert ask(running, "one", stream=True) > 1
    assert len(scripted.requests()) == 1
