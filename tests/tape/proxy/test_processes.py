"""Several proxies on one directory, as the command runs them: one call of many, also when who makes it dies."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx2
import psutil
import pytest

from tests.tape.proxy.raw import RawUpstream
from tests.tape.proxy.support import MESSAGES, recordings, stored
from tests.upstreams import PATIENCE, FakeBackend, Gate, text

_PROCESSES = 8
#: The length of a long body, and what it may cost in memory. Megabytes.
_MEGABYTES = 96
_COST = 48


class Command:
    """``antiphon tape proxy`` in a process of its own."""

    def __init__(self, directory: Path, url: str, *more: str) -> None:
        words = ["-m", "antiphon", "tape", "proxy", "--dir", str(directory), "--port", "0", "--json", *more]
        self.process = subprocess.Popen(
            [sys.executable, *words, "--upstream", f"openai={url}"],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def ready(self) -> str:
        """Its address, once it listens."""
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        assert line, self.process.stderr.read() if self.process.stderr else ""
        self.root: str = json.loads(line)["url"]
        return self.root

    def stop(self) -> tuple[int, str]:
        """Told to stop: its exit code, and what it said."""
        self.process.send_signal(signal.SIGTERM)
        _, said = self.process.communicate(timeout=PATIENCE)
        return self.process.returncode, said

    def end(self) -> None:
        """Whatever happened."""
        self.process.kill()
        self.process.communicate()


@pytest.fixture(scope="module")
def fake() -> Iterator[FakeBackend]:
    """One back end for the module."""
    with FakeBackend() as backend:
        yield backend


@pytest.fixture
def proxies(fake: FakeBackend, tmp_path: Path) -> Iterator[list[Command]]:
    """Eight of them on one directory, all of them up."""
    fake.reset()
    commands = [Command(tmp_path, fake.url) for _ in range(_PROCESSES)]
    try:
        for command in commands:
            command.ready()
        yield commands
    finally:
        for command in commands:
            command.end()


def ask(root: str, worker: int) -> httpx2.Response | None:
    """The same call from each; what is not matched says from whom it comes. None when the proxy is gone."""
    body = {"model": "m", "messages": MESSAGES, "stream": True}
    headers = {"x-worker": str(worker)}
    try:
        with httpx2.Client(timeout=PATIENCE * 2, trust_env=False) as client:
            return client.post(f"{root}/s/t/openai/v1/chat/completions", json=body, headers=headers)
    except httpx2.TransportError:
        return None


def all_ask(pool: ThreadPoolExecutor, commands: list[Command]) -> list[Any]:
    """All of them at the same time."""
    return [pool.submit(ask, command.root, n) for n, command in enumerate(commands)]


def test_of_eight_processes_one_makes_the_call(proxies: list[Command], fake: FakeBackend, tmp_path: Path) -> None:
    """The others wait for it and get the same answer."""
    gate = Gate()
    fake.answer(*text("once"), before=gate)
    with ThreadPoolExecutor(_PROCESSES) as pool:
        asked = all_ask(pool, proxies)
        gate.reached()
        gate.open()
        replies = [future.result(PATIENCE * 2) for future in asked]
    assert {reply.status_code for reply in replies} == {200}
    assert len({reply.content for reply in replies}) == 1
    assert len(fake.calls) == 1
    assert len(recordings(tmp_path)) == 1


def test_when_the_one_dies_exactly_one_more_makes_the_call(
    proxies: list[Command], fake: FakeBackend, tmp_path: Path
) -> None:
    """kill -9 of the leader in the middle of its call: seven get their answer, and nothing torn is left."""
    gate = Gate()
    fake.answer(text("torn")[0], gate)
    fake.answer(*text("whole"))
    with ThreadPoolExecutor(_PROCESSES) as pool:
        asked = all_ask(pool, proxies)
        gate.reached()
        leader = int(fake.call().headers["x-worker"])
        proxies[leader].process.kill()
        replies = [future.result(PATIENCE * 2) for future in asked]
    gate.open()
    assert replies.pop(leader) is None
    assert [reply.status_code for reply in replies] == [200] * (_PROCESSES - 1)
    assert all(b"whole" in reply.content for reply in replies)
    assert len(fake.calls) == 2
    (file,) = recordings(tmp_path)
    assert "whole" in json.dumps(stored(file))


def test_the_command_stops_well_and_sums_up(fake: FakeBackend, tmp_path: Path) -> None:
    """SIGTERM is exit code 0, with what was recorded written and counted."""
    fake.reset()
    command = Command(tmp_path, fake.url)
    try:
        reply = ask(command.ready(), 0)
        assert reply is not None
        code, said = command.stop()
    finally:
        command.end()
    assert code == 0
    assert "0 played, 1 recorded, 0 missed" in said
    assert "POST /openai/v1/chat/completions [t] 200" in said
    assert len(recordings(tmp_path)) == 1


def test_a_port_that_is_taken_is_said(tmp_path: Path) -> None:
    """In a sentence, with the exit code of a mistake."""
    with RawUpstream(lambda request: ("text/plain", [], "end")) as upstream:
        port = upstream.url.rpartition(":")[2].removesuffix("/v1")
        command = Command(tmp_path, upstream.url, "--port", port)
        try:
            _, said = command.process.communicate(timeout=PATIENCE)
            assert command.process.returncode == 2
            assert "cannot listen" in said
            assert "Traceback" not in said
        finally:
            command.end()


def test_a_long_body_is_never_held_whole(tmp_path: Path) -> None:
    """It goes through in pieces: the process stays small."""
    piece = b"x" * (1 << 20)
    sizes: list[int] = []

    def answer(request: Any) -> Any:
        sizes.append(len(request.body))
        return "application/json", [b"{}"], "end"

    with RawUpstream(answer) as upstream:
        command = Command(tmp_path, upstream.url)
        try:
            root = command.ready()
            process = psutil.Process(command.process.pid)
            before = process.memory_info().rss
            peak = _Peak(process)
            with httpx2.Client(timeout=PATIENCE * 2, trust_env=False) as client, peak:
                content = (piece for _ in range(_MEGABYTES))
                assert client.post(f"{root}/openai/v1/files", content=content).status_code == 200
            assert sizes == [_MEGABYTES << 20]
            assert peak.bytes - before < _COST << 20
        finally:
            command.end()


class _Peak:
    """The most memory that a process holds while the block runs."""

    def __init__(self, process: psutil.Process) -> None:
        self._process = process
        self._over = threading.Event()
        self.bytes = 0

    def __enter__(self) -> _Peak:
        self._thread = threading.Thread(target=self._look)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def _look(self) -> None:
        while not self._over.wait(0.01):
            self.bytes = max(self.bytes, self._process.memory_info().rss)
