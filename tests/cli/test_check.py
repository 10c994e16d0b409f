"""``antiphon check``: what it shows, what it hides, and what it looks at without changing it."""

from __future__ import annotations

import asyncio
import re
import socket
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest

from antiphon.cli.check import check, report
from antiphon.cli.reach import Finding, look
from antiphon.config import Config, StorageConfig, UpstreamConfig
from antiphon.config.load import resolve


@contextmanager
def back_end(status: int, body: bytes) -> Iterator[str]:
    """A server that answers every GET so; its base URL."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status if self.path == "/v1/models" else 404)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Quiet."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}/v1"
        finally:
            server.shutdown()
            thread.join()


@pytest.fixture
def closed() -> Iterator[int]:
    """A port on which nobody listens."""
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        yield holder.getsockname()[1]


def found(config: Config, environ: dict[str, str] | None = None) -> dict[str, Finding]:
    """The findings by name."""
    return {finding.what: finding for finding in asyncio.run(look(config, environ or {}))}


def storage(tmp_path: Path) -> StorageConfig:
    """A folder that is not there yet."""
    return StorageConfig(data_dir=str(tmp_path / "new" / "data"))


def test_all_is_well_without_any_configuration(tmp_path: Path) -> None:
    """The defaults need nothing from outside, and looking at them makes nothing."""
    findings = found(Config(storage=storage(tmp_path)))
    assert all(finding.good for finding in findings.values())
    assert "will be made" in findings["database"].says
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("status", "body", "good", "says"),
    [
        (200, b'{"object":"list","data":[{"id":"m-1"},{"id":"m-2"}]}', True, "m-1, m-2"),
        (200, b'{"data":[]}', True, "no models"),
        (404, b"nothing", True, "lists no models"),
        (200, b"<html>", False, "JSON"),
        (401, b'{"error":{"message":"Wrong key sk-verysecret."}}', False, "Wrong key"),
        (500, b"", False, "500"),
    ],
)
def test_back_ends(status: int, body: bytes, good: bool, says: str, tmp_path: Path) -> None:
    """A back end that answers is reachable; one that refuses our key or breaks is not; its models are named."""
    with back_end(status, body) as url:
        upstreams = {"local": UpstreamConfig(url=url, key="sk-verysecret")}
        finding = found(Config(storage=storage(tmp_path), upstreams=upstreams))["upstream local"]
    assert finding.good is good
    assert says in finding.says
    assert "verysecret" not in finding.says


def test_a_back_end_that_is_not_there(tmp_path: Path, closed: int) -> None:
    """It is named with its place, and its password is not."""
    upstreams = {"gone": UpstreamConfig(url=f"http://me:hidden@127.0.0.1:{closed}/v1")}
    finding = found(Config(storage=storage(tmp_path), upstreams=upstreams))["upstream gone"]
    assert finding.good is False
    assert f"127.0.0.1:{closed}" in finding.says
    assert "hidden" not in finding.says


def test_a_default_that_is_nobody(tmp_path: Path) -> None:
    """A default upstream that no configuration and no search can bring is a failure."""
    assert not found(Config(storage=storage(tmp_path), default_upstream="x", discover=False))["upstream x"].good


def test_the_variables_of_the_openai_sdk(tmp_path: Path, closed: int) -> None:
    """An upstream that those variables name is looked at like a configured one, unless it is this server itself."""
    with back_end(200, b'{"data":[{"id":"m-1"}]}') as url:
        good = found(Config(storage=storage(tmp_path)), {"OPENAI_BASE_URL": url, "OPENAI_API_KEY": "sk-1"})
    assert good["upstream openai"] == Finding(True, "upstream openai", f"{url} lists m-1")
    gone = {"OPENAI_BASE_URL": f"http://127.0.0.1:{closed}/v1"}
    assert found(Config(storage=storage(tmp_path)), gone)["upstream openai"].good is False
    assert "upstream openai" not in found(Config(storage=storage(tmp_path), discover=False), gone)
    ourselves = {"OPENAI_BASE_URL": "http://localhost:8321/v1"}
    assert found(Config(storage=storage(tmp_path)), ourselves)["upstream openai"].good is None


def test_sqlite(tmp_path: Path) -> None:
    """A database file is opened for reading; what is no database, or has no folder, is said."""
    sqlite3.connect(tmp_path / "antiphon.db").close()
    good = found(Config(storage=StorageConfig(data_dir=str(tmp_path))))["database"]
    assert good.good
    (tmp_path / "text").write_text("no database at all, but long enough to have a header of one hundred bytes" * 3)
    for url in (f"sqlite:///{tmp_path}/text", f"sqlite:///{tmp_path}/text/x.db", "mysql://h/d", "sqlite://"):
        assert not found(Config(storage=StorageConfig(database_url=url)))["database"].good, url


def test_a_postgresql_that_is_not_there(closed: int) -> None:
    """It is named without its password, escaped or not."""
    for password in ("hidden", "hid/den?x"):
        url = f"postgresql://me:{password}@127.0.0.1:{closed}/db"
        finding = found(Config(storage=StorageConfig(database_url=url)))["database"]
        assert finding.good is False
        assert "hid" not in finding.says


def test_the_report(tmp_path: Path) -> None:
    """Every setting is a line; a value that is not the default says where it came from; no secret shows."""
    file = tmp_path / "antiphon.toml"
    file.write_text('[upstreams.local]\nurl = "http://127.0.0.1:1/v1"\nkey = "sk-hidden"\n')
    loaded = resolve(file, {"ANTIPHON_SERVER__PORT": "9"}, {"server.host": "::1"})
    lines = report(loaded)
    assert re.search(r"^server\.port = 9 +# ANTIPHON_SERVER__PORT$", "\n".join(lines), re.MULTILINE)
    assert re.search(r'^server\.host = "::1" +# command line$', "\n".join(lines), re.MULTILINE)
    assert re.search(r'^upstreams\.local\.key = "\*+" +# .*antiphon\.toml$', "\n".join(lines), re.MULTILINE)
    assert "storage.database_url = (not set)" in lines
    assert "sk-hidden" not in "\n".join(lines)


def test_the_outcome_is_the_exit_code(tmp_path: Path, closed: int) -> None:
    """True when everything that is configured can be reached, else False, and a line for each thing."""
    lines: list[str] = []
    here = {"storage.data_dir": str(tmp_path)}
    assert check(resolve(None, {}, here), {}, lines.append)
    assert any(line.startswith("ok") and "database" in line for line in lines)
    broken = {**here, "upstreams.a": {"url": f"http://127.0.0.1:{closed}"}}
    assert not check(resolve(None, {}, broken), {}, lines.append)
    assert any(line.startswith("FAIL") and "upstream a" in line for line in lines)
