"""Clients of other languages on the same recordings: what Python recorded replays for curl, Node and Go, and the other
way round.
"""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.tape.proxy.support import Running, proxy
from tests.upstreams import FakeBackend, text

BODY: dict[str, Any] = {
    "model": "m",
    "messages": [{"role": "system", "content": "Be kind. Ünïcode."}, {"role": "user", "content": "Say it: 1.0"}],
    "temperature": 1.0,
    "stream": True,
}

_NODE = """
const [url, body] = process.argv.slice(1);
const reply = await fetch(url, {method: 'POST', body, headers: {
  'content-type': 'application/json', authorization: 'Bearer node-key-0123456789'}});
process.stdout.write(JSON.stringify([reply.status, await reply.text()]));
"""

_GO = """
package main

import (
	"encoding/json"
	"io"
	"net/http"
	"os"
	"strings"
)

func main() {
	request, _ := http.NewRequest("POST", os.Args[1], strings.NewReader(os.Args[2]))
	request.Header.Set("Content-Type", "application/json")
	reply, err := http.DefaultClient.Do(request)
	if err != nil {
		panic(err)
	}
	body, _ := io.ReadAll(reply.Body)
	json.NewEncoder(os.Stdout).Encode([]any{reply.StatusCode, string(body)})
}
"""

Answer = tuple[int, str]
#: Go compiles its library at the first use.
_BUILD_SECONDS = 300


def _python(running: Running, url: str, folder: Path) -> Answer:
    raw = running.sdk("t").chat.completions.with_raw_response.create(**BODY)
    return raw.status_code, raw.http_response.read().decode()


def _curl(running: Running, url: str, folder: Path) -> Answer:
    # Another order of the keys, and another spelling of the numbers, mean the same.
    body = json.dumps(dict(reversed(BODY.items())), ensure_ascii=False).replace(
        '"temperature": 1.0', '"temperature": 1'
    )
    out = _run("curl", "-sS", "-N", "-w", "%{http_code}", "-H", "Content-Type: application/json", "-d", body, url)
    return int(out[-3:]), out[:-3]


def _node(running: Running, url: str, folder: Path) -> Answer:
    status, body = json.loads(_run("node", "--input-type=module", "-e", _NODE, url, json.dumps(BODY)))
    return status, body


def _go(running: Running, url: str, folder: Path) -> Answer:
    source = folder / "main.go"
    source.write_text(_GO)
    status, body = json.loads(_run("go", "run", str(source), url, json.dumps(BODY)))
    return status, body


def _run(program: str, *arguments: str) -> str:
    if shutil.which(program) is None:
        pytest.skip(f"there is no {program} here")
    return subprocess.run(
        [program, *arguments], capture_output=True, text=True, timeout=_BUILD_SECONDS, check=True
    ).stdout


CLIENTS: dict[str, Callable[[Running, str, Path], Answer]] = {
    "python": _python,
    "curl": _curl,
    "node": _node,
    "go": _go,
}


@pytest.fixture(scope="module")
def fake() -> Iterator[FakeBackend]:
    """One back end for the module."""
    with FakeBackend() as backend:
        yield backend


@pytest.mark.parametrize(
    ("recorder", "player"),
    [
        ("python", "curl"),
        ("python", "node"),
        ("python", "go"),
        ("curl", "python"),
        ("node", "python"),
        ("go", "python"),
    ],
)
def test_one_language_plays_what_another_recorded(
    fake: FakeBackend, tmp_path: Path, recorder: str, player: str
) -> None:
    """The same bytes, through ``/s/<scope>/...``, with the back end asked once."""
    fake.reset()
    fake.answer(*text("Bon", "jour", " à tous"))
    taken = []
    for mode, client in (("record", recorder), ("replay", player)):
        with proxy(tmp_path / "tapes", fake.url, mode) as running:
            taken.append(CLIENTS[client](running, f"{running.root}/s/t/openai/v1/chat/completions", tmp_path))
    assert taken[0] == taken[1]
    assert taken[0][0] == 200
    assert "data: [DONE]" in taken[0][1]
    assert len(fake.calls) == 1


def test_a_miss_in_another_language_is_424(tmp_path: Path) -> None:
    """With the report in the body, for whoever reads it."""
    with proxy(tmp_path, "http://127.0.0.1:9/v1", "replay") as running:
        status, body = CLIENTS["curl"](running, f"{running.root}/s/t/openai/v1/chat/completions", tmp_path)
    assert status == 424
    assert json.loads(body)["error"]["code"] == "recording_miss"
