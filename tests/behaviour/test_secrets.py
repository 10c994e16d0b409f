"""Nobody's secrets are where they do not belong: in logs, errors, events, rows, ``/health`` or ``antiphon check``."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest

from tests.behaviour.processes import Process, Processes
from tests.databases import FreshDatabase
from tests.upstreams import PATIENCE, Break, FakeBackend, delta, text

#: Of no shape that a pattern would know.
OURS = "upstreamPassw0rd"
SEALING = "sealingPassw0rd"
CLIENT = "clientPassw0rd"
TOOL = "toolPassw0rd"
DATABASE = "databasePassw0rd"
ENVIRON = {
    "ANTIPHON_KEYS": f"{SEALING},{SEALING}2",
    "ANTIPHON_SERVER__LOG_LEVEL": "debug",
    "ANTIPHON_DEFAULT_UPSTREAM": "local",
    "ANTIPHON_UPSTREAMS__LOCAL__KEY": OURS,
}
MCP: dict[str, Any] = {
    "type": "mcp",
    "server_label": "files",
    "server_url": f"http://127.0.0.1:9/sse?token={TOOL}",
    "authorization": TOOL,
    "headers": {"X-Key": TOOL},
}


class Talker:
    """Asks with a secret of its own and remembers everything it was told."""

    def __init__(self, process: Process, *secrets: str) -> None:
        self.process = process
        self.secrets = secrets
        self.told: list[str] = []
        self._http = httpx2.Client(
            base_url=process.root, timeout=PATIENCE, trust_env=False, headers={"Authorization": f"Bearer {CLIENT}"}
        )

    def get(self, path: str) -> None:
        self._keep(self._http.get(path))

    def create(self, **body: Any) -> str | None:
        """One response, streamed and read in every way; its id, if it has one."""
        reply = self._keep(self._http.post("/v1/responses", json={"model": "m", "input": "hi", "stream": True, **body}))
        if reply.status_code != 200:
            return None
        line = next(line for line in reply.text.splitlines() if line.startswith("data: "))
        response_id = str(json.loads(line.removeprefix("data: "))["response"]["id"])
        for path in ("", "?stream=true", "/input_items"):
            self.get(f"/v1/responses/{response_id}{path}")
        return response_id

    def post(self, path: str, body: Any) -> None:
        self._keep(self._http.post(path, json=body))

    def close(self) -> None:
        self._http.close()

    def safe(self, *places: str) -> None:
        """None of the secrets stands anywhere."""
        self.process.signal()
        assert self.process.ended() == 0
        for place in (*self.told, self.process.said, *places):
            for secret in self.secrets:
                at = place.find(secret)
                assert at < 0, f"{secret} is told: {place[max(0, at - 200) : at + 50]}"
        assert "DEBUG" in self.process.said or "INFO" in self.process.said

    def _keep(self, reply: httpx2.Response) -> httpx2.Response:
        self.told.append(f"{reply.headers}\n{reply.text}")
        return reply


def told_by_the_back_end(backend: FakeBackend, talker: Talker, secret: str) -> None:
    """Every way in which a back end can say a secret again."""
    words = f"Incorrect API key provided: {secret}. The header was Authorization: Bearer {secret}"
    for status in (400, 401, 500):
        backend.refuse(status, {"error": {"message": words, "code": "invalid_api_key", "param": None}})
        talker.create()
    backend.refuse(403, {"detail": words})
    talker.create()
    backend.refuse(307, {}, headers=f"Location: http://elsewhere/?key={secret}\r\n")
    talker.create()
    backend.answer(delta(content="half"), {"error": {"message": words, "code": 401}})
    talker.create()
    backend.answer(delta(content="half"), f"data: {{nonsense {secret}\n\n".encode())
    talker.create()
    backend.answer(delta(content="half"), Break())
    talker.create()
    backend.refuse(401, {"error": {"message": words, "code": "invalid_api_key"}})
    if secret == OURS:  # who gets its own key back has lost nothing, and a reply passed through is kept nowhere
        talker.post("/v1/chat/completions", {"model": "m", "messages": []})
    backend.reset()
    for path in ("/v1/chat/completions", "/v1/embeddings"):
        talker.post(path, {"model": "m", "messages": [], "input": "x"})


@pytest.fixture
def talkers() -> Iterator[list[Talker]]:
    """To be closed after the test."""
    talkers: list[Talker] = []
    yield talkers
    for talker in talkers:
        talker.close()


def files(folder: Path) -> str:
    """Everything below a folder, as text; the key file is the one place for keys."""
    found = [path.read_bytes().decode("latin-1") for path in folder.rglob("*") if path.is_file()]
    assert found
    return "\n".join(found)


def test_what_we_hold(processes: Processes, talkers: list[Talker], backend: FakeBackend, tmp_path: Path) -> None:
    """Our keys, the client's key and the credentials of its MCP tools."""
    process = processes(ANTIPHON_UPSTREAMS__LOCAL__URL=backend.url, **ENVIRON).answering()
    talkers.append(talker := Talker(process, OURS, SEALING, CLIENT, TOOL))
    told_by_the_back_end(backend, talker, OURS)
    for stream in (True, False):
        backend.answer(delta(reasoning_content="hm"), *text("ok"))
        first = talker.create(tools=[MCP], include=["reasoning.encrypted_content"], stream=True)
        assert first is not None
        talker.post("/v1/responses", {"model": "m", "input": "x", "tools": [MCP], "stream": stream})
        talker.post("/v1/responses", {"model": "m", "input": "x", "tools": [{**MCP, "type": "function"}]})
        talker.create(previous_response_id=first, tools=[MCP])
    for kind in ("additional_tools", "tool_search_output"):
        added = {"type": kind, "role": "developer", "call_id": "c", "tools": [MCP]}
        talker.create(input=[{"role": "user", "content": "hi"}, added])
    talker.create(tools=[{"type": "namespace", "name": "n", "tools": [MCP]}])
    for path in ("/health", "/openapi.json", "/v1/models", "/v1/models/nobody", "/nowhere"):
        talker.get(path)
    talker.safe(files(tmp_path / "data"), json.dumps(backend.requests))
    assert OURS in str(backend.call().headers)


def test_what_we_pass_on(processes: Processes, talkers: list[Talker], backend: FakeBackend, tmp_path: Path) -> None:
    """With ``forward_auth`` the back end knows the client's key too, and may repeat it."""
    more = {"ANTIPHON_UPSTREAMS__LOCAL__FORWARD_AUTH": "true", "ANTIPHON_UPSTREAMS__LOCAL__URL": backend.url}
    process = processes(**ENVIRON, **more).answering()
    talkers.append(talker := Talker(process, OURS, SEALING, CLIENT))
    told_by_the_back_end(backend, talker, CLIENT)
    talker.safe(files(tmp_path / "data"))
    assert CLIENT in str(backend.call().headers)


def test_the_database(
    fresh_database: FreshDatabase, processes: Processes, talkers: list[Talker], backend: FakeBackend, tmp_path: Path
) -> None:
    """Its password, while it is there and when it has gone."""
    url = fresh_database("postgresql").replace("postgres:@", f"postgres:{DATABASE}@")
    assert DATABASE in url
    more = {"ANTIPHON_UPSTREAMS__LOCAL__URL": backend.url, "ANTIPHON_STORAGE__DATABASE_URL": url}
    process = processes(**ENVIRON, **more).answering()
    talkers.append(talker := Talker(process, DATABASE))
    assert talker.create() is not None
    talker.create(input="\0")
    talker.get("/v1/responses/resp_" + b"\0".hex() + "%00")
    talker.safe(checked(tmp_path, {**ENVIRON, **more}))


def test_check(backend: FakeBackend, tmp_path: Path) -> None:
    """``antiphon check`` masks what it shows, reachable or not."""
    for place in (backend.url, "http://127.0.0.1:9/v1"):
        told = checked(
            tmp_path,
            {
                **ENVIRON,
                "ANTIPHON_UPSTREAMS__LOCAL__URL": place.replace("http://", f"http://me:{OURS}@"),
                "ANTIPHON_STORAGE__DATABASE_URL": f"postgresql://me:{DATABASE}@127.0.0.1:9/db",
            },
        )
        for secret in (OURS, SEALING, DATABASE):
            assert secret not in told


def checked(folder: Path, environ: dict[str, str]) -> str:
    """What ``antiphon check`` says."""
    found = subprocess.run(
        [sys.executable, "-m", "antiphon", "check"],
        cwd=folder,
        env={**Processes.bare(), **environ},
        capture_output=True,
        text=True,
        timeout=PATIENCE,
    )
    assert "database_url" in found.stdout, found.stderr
    return found.stdout + found.stderr
