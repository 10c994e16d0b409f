"""Acceptance tests 24, 25, 27 and 28: other languages, faults, both families of HTTP clients, and what it costs."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx2
import openai
import pytest

from tests.cli.tape.support import run_json
from tests.scripted import Scripted
from tests.tape.acceptance.on_tape import NOWHERE, on_tape, text_of, under_clients
from tests.tape.acceptance.ways import Way, control, serving
from tests.tape.clients.far_side import DONE, FarSide, event
from tests.tape.plugin.project import Project
from tests.tape.proxy.support import recordings
from tests.upstreams import PATIENCE, FakeBackend, text

Json = Any

# -- 24

BODY: Json = {
    "model": "m",
    "messages": [{"role": "system", "content": "Be kind. \u00dcn\u00efcode."}, {"role": "user", "content": "Say it."}],
    "temperature": 1.0,
    "stream": True,
}
_NODE = """
const [url, body] = process.argv.slice(1);
const reply = await fetch(url, {method: 'POST', body, headers: {
  'content-type': 'application/json', authorization: 'Bearer none'}});
process.stdout.write(JSON.stringify([reply.status, await reply.text()]));
"""


def _python(base: str) -> tuple[int, str]:
    transport = httpx2.Client(timeout=PATIENCE, trust_env=False, verify=False)
    with openai.OpenAI(api_key="none", base_url=base, max_retries=0, http_client=transport) as client:
        raw = client.chat.completions.with_raw_response.create(**BODY)
        return raw.status_code, raw.http_response.read().decode()


def _curl(base: str) -> tuple[int, str]:
    # Another order of the keys and another spelling of numbers and letters mean the same.
    body = json.dumps(dict(reversed(BODY.items())), ensure_ascii=False).replace(": 1.0", ": 1")
    said = _run("curl", "-sS", "-N", "-w", "%{http_code}", "-H", "Content-Type: application/json", "-d", body,
                f"{base}/chat/completions")  # fmt: skip
    return int(said[-3:]), said[:-3]


def _node(base: str) -> tuple[int, str]:
    url = f"{base}/chat/completions"
    status, said = json.loads(_run("node", "--input-type=module", "-e", _NODE, url, json.dumps(BODY)))
    return status, said


def _run(program: str, *words: str) -> str:
    if shutil.which(program) is None:
        pytest.skip(f"there is no {program} here")
    return subprocess.run([program, *words], capture_output=True, text=True, timeout=60, check=True).stdout


LANGUAGES: dict[str, Callable[[str], tuple[int, str]]] = {"python": _python, "curl": _curl, "node": _node}


@pytest.mark.parametrize(
    ("recorder", "player"), [("python", "curl"), ("python", "node"), ("curl", "python"), ("node", "python")]
)
def test_24_the_server_serves_all_languages_from_one_recording(
    recorder: str, player: str, tapes: Path, backend: FakeBackend
) -> None:
    """Through ``/s/<scope>/v1``: what one client recorded another hears, to the byte, with the back end gone."""
    backend.answer(*text("Bon", "jour", " \u00e0 tous"))
    heard = []
    for mode, url, name in (("record", backend.url, recorder), ("replay", NOWHERE, player)):
        with serving(tapes, mode, url) as server:
            heard.append(LANGUAGES[name](f"{server.root}/s/t/v1"))
    assert heard[0] == heard[1]
    assert heard[0][0] == 200
    assert heard[0][1].endswith("data: [DONE]\n\n")
    assert len(backend.calls) == 1


# -- 25

_WORDS = [f"w{n} " for n in range(10)]
_EVENTS = len(_WORDS) + 1
_SAY: Json = [{"role": "user", "content": "Say it."}]


def _heard(client: openai.OpenAI) -> tuple[list[str], str]:
    """What the SDK hands over, and how it ends: with which exception, if any."""
    pieces: list[str] = []
    try:
        for chunk in client.chat.completions.create(model="m", messages=_SAY, stream=True):
            pieces += [choice.delta.content or "" for choice in chunk.choices]
    except (openai.APIError, httpx2.TransportError, ValueError) as failure:
        return pieces, type(failure).__name__
    return pieces, ""


def _bytes() -> tuple[int, bytes, str]:
    """The same call without the SDK: status, bytes, ending."""
    got = b""
    body = {"model": "m", "messages": _SAY, "stream": True}
    with (
        httpx2.Client(timeout=0.2, trust_env=False, verify=False) as client,
        client.stream("POST", f"{NOWHERE}/chat/completions", json=body) as reply,
    ):
        try:
            for data in reply.iter_raw():
                got += data
        except httpx2.TransportError as failure:
            return reply.status_code, got, type(failure).__name__
        return reply.status_code, got, ""


_FAULTS: dict[str, tuple[Json, Any]] = {
    **{
        f"cut after {n}": ({"cut": {"after_event": n, "how": "reset"}}, (_WORDS[:n], "broken" if n < _EVENTS else ""))
        for n in range(_EVENTS)
    },
    "half an event": ({"cut": {"after_event": 4, "how": "half_event"}}, (_WORDS[:4], "")),
    "stall": ({"stall": {"at_event": 3, "seconds": 60}}, (_WORDS[:2], "broken")),
}


@pytest.mark.parametrize("fault", _FAULTS)
def test_25_each_fault_is_the_same_in_two_runs(fault: str, far: FarSide, tapes: Path) -> None:
    """Under the SDK in this process: a cut at each of eleven events, half an event, a stall. The SDK hands over what
    came and raises where the connection broke; two runs are equal to the byte.
    """
    far.streams(*(event(word) for word in _WORDS), DONE)
    with under_clients(tapes, "record", f"{far.root}/v1") as opened:
        assert _heard(opened.sdk()) == (_WORDS, "")
    rule, (words, ending) = _FAULTS[fault]
    runs = []
    for _ in range(2):
        with under_clients(tapes, "replay", NOWHERE, faults=rule) as opened:
            sdk = _heard(opened.sdk(timeout=0.2))
        with on_tape(tapes, "replay", faults=rule):
            runs.append((sdk, _bytes()))
    assert runs[0] == runs[1]
    (pieces, failure), (status, got, broke) = runs[0]
    assert (pieces, bool(failure), status) == (words, bool(ending), 200)
    assert got.count(b"\n\n") == len(words)
    assert bool(broke) == bool(ending)
    assert far.hits == 1


def test_25_two_refusals_and_then_the_answer(far: FarSide, tapes: Path) -> None:
    """429 twice with Retry-After: the SDK's retries get to the recording by themselves, in each run."""
    far.streams(*(event(word) for word in _WORDS), DONE)
    with under_clients(tapes, "record", f"{far.root}/v1") as opened:
        _heard(opened.sdk())
    for _ in range(2):
        with under_clients(tapes, "replay", NOWHERE, faults={"status": 429, "retry_after": 0, "times": 2}) as opened:
            made = opened.sdk(max_retries=2).chat.completions.with_raw_response.create(
                model="m", messages=_SAY, stream=True
            )
            assert (made.retries_taken, text_of(made.parse())) == (2, "".join(_WORDS))
    assert far.hits == 1


# -- 27

_CAUGHT = """
import importlib
import urllib.request

@pytest.mark.recording
@pytest.mark.parametrize("family", FAMILIES)
def test_family(family):
    client = importlib.import_module(family).Client()
    assert client.post(FAR, json={"model": "m", "family": family}).status_code == 200

@pytest.mark.recording
def test_sdk():
    import openai
    client = openai.OpenAI(base_url=FAR.removesuffix("/chat/completions"), api_key="none")
    assert type(client._client).__mro__[-2].__module__.partition(".")[0] == FAMILY
    client.chat.completions.create(model="m", messages=[{"role": "user", "content": "hello"}])

@pytest.mark.recording
def test_unseen():
    urllib.request.urlopen(FAR, data=b"{}", timeout=5).close()

@pytest.mark.block_network
def test_unseen_and_not_recorded():
    urllib.request.urlopen(FAR, data=b"{}", timeout=5).close()
"""


def _families() -> list[str]:
    return [name for name in ("httpx", "httpx2") if _installed(name)]


def _installed(name: str) -> bool:
    from importlib.util import find_spec

    return find_spec(name) is not None


def test_27_both_families_are_caught_and_what_no_tape_sees_is_stopped(project: Project, far: FarSide) -> None:
    """httpx2 with openai 3, and httpx, with openai 1 and 2, where they are installed: recorded and replayed. A client
    that neither is stopped with an error instead of calling, in tests that replay and in those that say so.
    """
    family = "httpx2" if int(openai.__version__.partition(".")[0]) >= 3 else "httpx"
    project.write("test_it.py", f"FAMILIES, FAMILY = {_families()}, {family!r}\n" + _CAUGHT)
    recorded = project.run("--record-mode=rewrite", "-k", "family or sdk")
    count = len(_families()) + 1
    assert recorded.outcomes == {"passed": count}, recorded.text
    assert far.hits == count
    replayed = project.run()
    assert replayed.outcomes == {"passed": count, "failed": 2}, replayed.text
    assert replayed.text.count("is blocked") >= 2
    assert far.hits == count


# -- 28


def test_28_tokens_are_those_that_the_upstream_counted(scripted: Scripted, tapes: Path) -> None:
    """Through the server, streamed or not: its statistics, ``tape stats`` and what a replay saves are the sum of the
    ``usage`` that came.
    """
    scripted.reset()
    cost = []
    for mode, url in (("record", scripted.url), ("replay", NOWHERE)):
        with serving(tapes, mode, url) as server:
            client = server.client.with_options(base_url=f"{server.root}/s/t/v1")
            used = []
            for n in range(4):
                answered = client.responses.create(model="scripted", input=f"<<long {n + 3}>> number {n}")
                assert answered.usage is not None
                used.append(answered.usage.total_tokens)
            for n in range(4):
                messages: Any = [{"role": "user", "content": f"<<long {n + 3}>> chat {n}"}]
                said = client.chat.completions.create(model="scripted", messages=messages)
                assert said.usage is not None
                used.append(said.usage.total_tokens)
            counted = control(server, "stats")
            cost.append((sum(used), counted["tokens_recorded"], counted["tokens_replayed"]))
    total = cost[0][0]
    assert total > 0
    assert cost == [(total, total, 0), (total, 0, total)]
    assert sum(run_json(tapes, "stats")["tokens"].values()) == total


def test_28_a_spent_budget_stops_before_the_next_call(way: Way, backend: FakeBackend, tapes: Path) -> None:
    """Ten tokens a call and fifteen allowed: two calls leave, the third is refused before it does, and is not tried
    again; what is recorded is still played.
    """
    for n in range(3):
        backend.answer(*text(f"answer {n}"))

    def ask(client: openai.OpenAI, words: str) -> str:
        messages: Any = [{"role": "user", "content": words}]
        return text_of(client.chat.completions.create(model="m", messages=messages, stream=True))

    with way("record-if-missing", backend.url, budget=15) as opened:
        client = opened.sdk(max_retries=3)
        assert [ask(client, "one"), ask(client, "two")] == ["answer 0", "answer 1"]
        with pytest.raises(openai.APIStatusError) as caught:
            ask(client, "three")
        assert (caught.value.status_code, caught.value.code) == (424, "recording_budget_spent")
    assert len(backend.calls) == 2 == len(recordings(tapes))
    with way("record-if-missing", NOWHERE, budget=15) as opened:
        assert ask(opened.sdk(), "one") == "answer 0"
