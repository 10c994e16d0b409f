"""Acceptance tests 14 to 17 and 19: rules that change, agents that draw ids, misses that are swallowed, uploads."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import openai
import pytest

import antiphon
from tests.cli.tape.support import run_json
from tests.tape.acceptance import forks
from tests.tape.acceptance.on_tape import NOWHERE, text_of
from tests.tape.acceptance.ways import Way, control, serving
from tests.tape.clients.far_side import FarSide
from tests.tape.plugin.project import Project
from tests.tape.proxy.raw import RawUpstream, Request
from tests.tape.proxy.support import recordings
from tests.upstreams import FakeBackend, text

Json = Any
ROOT = Path(__file__).resolve().parents[3]


def _python(*words: str, path: Path = ROOT / "src", seed: str = "random") -> str:
    """A fresh Python, which finds antiphon below ``path``; what it prints."""
    environ = {**os.environ, "PYTHONPATH": f"{path}{os.pathsep}{ROOT}", "PYTHONHASHSEED": seed}
    done = subprocess.run(
        [sys.executable, *words], capture_output=True, text=True, env=environ, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


# -- 14

_SECOND = """
def second(request: Request, rules: Rules) -> Json:
    form = version1.form(request, rules)
    form["second"] = True
    return form


VERSIONS[2] = second
"""

_REPLAY = """
import sys
from pathlib import Path
from antiphon.tape import canon
from tests.tape.acceptance.on_tape import on_tape
import httpx2

assert canon.VERSION == 2
with on_tape(Path(sys.argv[1]), "replay", strict=True) as tape, httpx2.Client(trust_env=False, verify=False) as client:
    for n in range(20):
        body = {"model": "m", "messages": [{"role": "user", "content": f"number {n}"}], "stream": True}
        assert client.post("http://127.0.0.1:9/v1/chat/completions", json=body).status_code == 200
    print(tape.stats().hits, tape.stats().misses)
"""


def test_14_a_new_version_of_the_rules_orphans_nothing(tmp_path: Path, tapes: Path, backend: FakeBackend) -> None:
    """The package with another version of the canonical form, all of whose keys differ: every old recording is found,
    none is rewritten; ``rekey`` rewrites them all, and every one is found again, by either version.
    """
    words = [f"number {n}" for n in range(20)]
    assert forks.ended(forks.start(forks.ask, str(tapes), "record", backend.url, 0, words)) == 0
    assert len(recordings(tapes)) == 20
    before = {path: (path.read_bytes(), path.stat().st_mtime_ns) for path in recordings(tapes)}

    compiled = shutil.ignore_patterns("__pycache__")
    shutil.copytree(Path(antiphon.__file__).parent, tmp_path / "next" / "antiphon", ignore=compiled)
    rooms = tmp_path / "next" / "antiphon" / "tape" / "canon"
    rules, forms = rooms / "rules.py", rooms / "forms.py"
    assert rules.read_text().count("\nVERSION = 1\n") == 1
    rules.write_text(rules.read_text().replace("\nVERSION = 1\n", "\nVERSION = 2\n"))
    forms.write_text(forms.read_text() + _SECOND)

    def replay() -> str:
        return _python("-c", _REPLAY, str(tapes), path=tmp_path / "next").strip()

    assert replay() == "20 0"
    assert {path: (path.read_bytes(), path.stat().st_mtime_ns) for path in recordings(tapes)} == before
    moved = _python("-m", "antiphon", "tape", "rekey", "--json", "--dir", str(tapes), path=tmp_path / "next")
    assert len(json.loads(moved)["changed"]) == 20
    assert {json.loads(path.read_bytes())["canon"] for path in recordings(tapes)} == {2}
    assert not set(before) & set(recordings(tapes))
    assert replay() == "20 0"
    assert forks.ended(forks.start(forks.ask, str(tapes), "replay", NOWHERE, 0, words)) == 0


# -- 15


def _model(request: Request) -> Any:
    """Calls two tools with ids of its own in every turn but the last, and repeats the ids that it was shown."""
    messages = json.loads(request.body)["messages"]
    turn = sum(message["role"] == "assistant" for message in messages)
    seen = re.findall(r"ord_[0-9a-f]{12}", json.dumps(messages))
    calls = [
        {"id": f"call_{os.urandom(6).hex()}", "type": "function",
         "function": {"name": name, "arguments": json.dumps({"after": seen[-1] if seen else None})}}
        for name in ("book", "ship")
    ]  # fmt: skip
    said: Json = {"role": "assistant", "content": f"Turn {turn}: {' '.join(seen[-2:])}"}
    if turn < 5:
        said["tool_calls"] = calls
    answer = {"id": f"chatcmpl-{os.urandom(6).hex()}", "object": "chat.completion", "created": 1, "model": "m",
              "choices": [{"index": 0, "message": said, "finish_reason": "stop"}]}  # fmt: skip
    return "application/json", [json.dumps(answer).encode()], "end"


#: Interpreters, each with a hash seed of its own, and processes that each forks.
_STARTS, _FORKS = 5, 10


def test_15_an_agent_that_draws_ids_is_replayed_in_fifty_processes(tapes: Path) -> None:
    """Six turns, two tools a turn with new ids, which the model and the next question repeat: recorded once, and fifty
    processes later there was no miss. Two results that change places are one, from that turn on.
    """
    script = str(Path(__file__).with_name("agent.py"))

    def agents(mode: str, url: str, runs: int, *more: str, seed: str = "random") -> list[Json]:
        lines = _python(script, str(tapes), mode, f"{url}/chat/completions", str(runs), *more, seed=seed)
        return [json.loads(line) for line in lines.splitlines()]

    with RawUpstream(_model) as upstream:
        (first,) = agents("record", upstream.url, 1)
        assert (first["recorded"], len(upstream.requests)) == (6, 6)
    found = [one for seed in range(_STARTS) for one in agents("replay", NOWHERE, _FORKS, seed=str(seed))]
    assert [(one["hits"], one["misses"]) for one in found] == [(6, 0)] * 50
    drawn = [json.dumps(one["ids"]) for one in (first, *found)]
    assert len(set(drawn)) == 51
    assert len(first["ids"]) == 10
    (swapped,) = agents("replay", NOWHERE, 1, "swap")
    assert (swapped["hits"], swapped["misses"]) == (3, 1)


# -- 16


def _turns(client: openai.OpenAI, *asked: str) -> list[str]:
    """An application that makes an answer of every error."""
    said: list[str] = []
    messages: Any = []
    for words in asked:
        messages.append({"role": "user", "content": words})
        try:
            stream: Any = client.chat.completions.create(model="m", messages=messages, stream=True)
            answer = text_of(stream)
        except Exception:  # noqa: BLE001 - as bad applications do
            answer = "Sorry, something went wrong."
        messages.append({"role": "assistant", "content": answer})
        said.append(answer)
    return said


def test_16_a_swallowed_miss_is_told_by_the_end_of_the_run(backend: FakeBackend, tapes: Path) -> None:
    """The application went on; whoever ends the scope's run on the server hears of the miss, with the file that is
    nearest, the path within it, and the turn at which the run left the recorded one.
    """
    for n in range(4):
        backend.answer(*text(f"answer {n}"))
    with serving(tapes, "record", backend.url) as server:
        _turns(server.client.with_options(base_url=f"{server.root}/s/t/v1"), "one", "two", "three", "four")
        control(server, "scopes/stop", "POST", "t")
    (second,) = [row["path"] for row in run_json(tapes, "ls") if row["say"] == "answer 1"]
    with serving(tapes, "replay", NOWHERE) as server:
        client = server.client.with_options(base_url=f"{server.root}/s/t/v1")
        said = _turns(client, "one", "deux", "three", "four")
        assert said == ["answer 0", *["Sorry, something went wrong."] * 3]
        ended = control(server, "scopes/stop", "POST", "t")
    assert (ended["hits"], ended["misses"]) == (1, 3)
    assert second in ended["reports"][0]
    assert "messages[2].content" in ended["reports"][0]
    assert "[-two-]{+deux+}" in ended["reports"][0]
    assert all("turn 2" in report for report in ended["reports"][1:])


_APP = """
import openai

@pytest.mark.recording
def test_app():
    client = openai.OpenAI(base_url=FAR.removesuffix("/chat/completions"), api_key="none")
    said = []
    for words in WORDS:
        try:
            said.append(client.chat.completions.create(model="m", messages=[{"role": "user", "content": words}]).id)
        except Exception as error:
            said.append(f"Sorry: {error}")
    assert len(said) == len(WORDS)
"""


# -- 17


def test_17_one_word_in_twenty_kilobytes(way: Way, backend: FakeBackend, tapes: Path) -> None:
    """The report has at most thirty lines, among them that pair of words, its place and the command that puts it
    right; the SDK, whose retries are left on, asks once.
    """
    words = [f"word{n}" for n in range(3000)]
    changed = ["WORD1500" if word == "word1500" else word for word in words]
    assert len(" ".join(words)) > 20_000

    def ask(client: openai.OpenAI, prompt: list[str]) -> str:
        messages: Any = [{"role": "system", "content": " ".join(prompt)}, {"role": "user", "content": "Well?"}]
        return text_of(client.chat.completions.create(model="m", messages=messages, stream=True))

    backend.answer(*text("Yes."))
    with way("record", backend.url) as opened:
        assert ask(opened.sdk(), words) == "Yes."
    with way("replay", NOWHERE) as opened:
        client = opened.sdk(max_retries=5)
        with pytest.raises(openai.APIStatusError) as caught:
            ask(client, changed)
        assert len(opened.misses()) == 1
    assert caught.value.status_code == 424
    report = str(caught.value.body["message"])  # type: ignore[index]
    assert len(report.splitlines()) <= 30
    assert "[-word1500-]{+WORD1500+}" in report
    assert "messages[0].content" in report
    assert f"antiphon tape accept --dir {tapes}" in report.replace("\\\n  ", "")
    assert len(backend.calls) == 1


def test_17_the_command_of_the_report_records_just_that(project: Project, far: FarSide) -> None:
    """In pytest the report names a command; run as it stands it records the one test, and then nothing is missed."""
    project.write(
        "test_it.py",
        _APP.replace("WORDS", '["one", "two"]') + _APP.replace("WORDS", '["three"]').replace("test_app", "test_b"),
    )
    assert project.run("--record-mode=rewrite").code == 0
    project.write(
        "test_it.py",
        _APP.replace("WORDS", '["one", "zwei"]') + _APP.replace("WORDS", '["three"]').replace("test_app", "test_b"),
    )
    missed = project.run()
    assert missed.outcomes == {"failed": 1, "passed": 1}
    assert len(far.asked) == 3
    (command,) = {line.strip() for line in missed.text.splitlines() if "pytest " in line and "--record-mode=" in line}
    program, *words = shlex.split(command)
    assert program == "pytest"
    assert project.run(*words).outcomes == {"passed": 1}
    assert len(far.asked) == 5
    assert project.run().outcomes == {"passed": 2}


# -- 19


def test_19_an_upload_of_another_process_is_found(far: FarSide, tapes: Path) -> None:
    """The same file, under a boundary drawn anew, hits; one byte more does not."""
    content = bytes(range(256)) * 40
    url = f"{far.root}/v1"
    assert forks.ended(forks.start(forks.upload, str(tapes), "record", url, content)) == 0
    assert forks.ended(forks.start(forks.upload, str(tapes), "replay", NOWHERE, content)) == 0
    assert forks.ended(forks.start(forks.upload, str(tapes), "replay", NOWHERE, content + b"x")) == 1
    assert far.hits == 1
    assert content in far.asked[0].body
