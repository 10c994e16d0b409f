"""Against the shared scripted back end, where it is present: quirks alone and in pairs, and its own strictness."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import combinations
from typing import Any

import msgspec
import openai
import pytest

from antiphon.config import Config, StorageConfig, UpstreamConfig
from tests.api.talk import ask, dump, stream, types
from tests.scripted import Scripted, scripted
from tests.server import Server

__all__ = ["scripted"]

LOOK: dict[str, Any] = {
    "type": "function",
    "name": "look",
    "parameters": {"type": "object", "properties": {"at": {"type": "integer"}}},
}
#: What a back end may do without changing what it says.
QUIRKS = [
    "whole-call",
    "index0",
    "null-id",
    "empty-first",
    "null-content",
    "role-each",
    "usage-each",
    "finish-stop",
    "no-finish",
    "no-done",
    "crlf",
    "ping",
    "empty-tools",
]


@pytest.fixture(scope="module")
def scripted_client(scripted: Scripted, tmp_path_factory: pytest.TempPathFactory) -> Iterator[openai.OpenAI]:
    """The SDK, a server, and the scripted back end behind it."""
    folder = tmp_path_factory.mktemp("scripted")
    config = Config(upstreams={"s": UpstreamConfig(url=scripted.url)}, storage=StorageConfig(data_dir=str(folder)))
    server = Server(msgspec.structs.replace(config, discover=False))
    server.start()
    yield server.client
    server.stop()


def said(client: openai.OpenAI, script: str, **more: Any) -> tuple[list[Any], list[str]]:
    """The output without ids, and the kinds of events."""
    events = stream(client, script, model="scripted", **more)
    output = dump(events[-1].response)["output"]
    for item in output:
        del item["id"]
        item.pop("call_id", None)
    kinds = types(events)
    return output, [kind for n, kind in enumerate(kinds) if n == 0 or kinds[n - 1] != kind]


def test_quirks_alone_and_in_pairs(scripted_client: openai.OpenAI) -> None:
    """Text, thoughts and two parallel calls come out the same, whatever the back end's manners."""
    scripts = {
        "<<think Hm.>> <<say Hello there>>": [],
        '<<parallel>> <<preface Well.>> <<call look {"at": 1}>> <<call look {"at": 2}>>': [LOOK],
    }
    for script, tools in scripts.items():
        plain = said(scripted_client, script, tools=tools)
        for quirks in (*combinations(QUIRKS, 1), *combinations(QUIRKS, 2)):
            if set(quirks) == {"no-finish", "no-done"}:
                continue  # nothing says that it has ended: that is a cut
            odd = said(scripted_client, f"<<quirk {' '.join(quirks)}>> {script}", tools=tools)
            assert odd == plain, quirks


def test_a_conversation_that_a_strict_back_end_accepts(scripted_client: openai.OpenAI) -> None:
    """Two calls, their results in another order, a message between: the back end finds nothing to refuse."""
    script = '<<parallel>> <<call look {"at": 1}>> <<call look {"at": 2}>> <<final Seen $results>>'
    first = ask(scripted_client, script, model="scripted", tools=[LOOK])
    calls = [dump(item)["call_id"] for item in first.output]
    outputs: list[Any] = [
        {"type": "function_call_output", "call_id": one, "output": f"r-{one[-2:]}"} for one in calls[::-1]
    ]
    second = ask(scripted_client, outputs, model="scripted", tools=[LOOK], previous_response_id=first.id)
    assert second.output_text.startswith("Seen")
    third = ask(scripted_client, "<<recall>>", model="scripted", previous_response_id=second.id)
    assert "Seen" in third.output_text


def test_errors_of_a_real_shape(scripted_client: openai.OpenAI) -> None:
    """A refusal, one that asks to wait, a cut and an error inside the stream each reach the client as what they are."""
    with pytest.raises(openai.RateLimitError) as caught:
        ask(scripted_client, "<<error 429 retry-after=7>>", model="scripted")
    assert caught.value.response.headers["retry-after"] == "7"
    assert ask(scripted_client, "<<cut 3>> <<long 20>>", model="scripted").status == "failed"
    with pytest.raises(openai.APIError):
        stream(scripted_client, "<<stream-error 3>> <<long 20>>", model="scripted")
