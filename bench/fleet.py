"""The processes of a run: mock back end, floor, haproxy, load generator and the server under test."""

from __future__ import annotations

import http.client
import os
import resource
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import msgspec

from bench.load import Job, Result

_ROOT = Path(__file__).resolve().parents[1]
_PATIENCE_S = 60.0
_WRONG_S = 15.0  # how long a server that listens may go on answering with errors

_HAPROXY = """\
global
  nbthread 1
  maxconn 8192
defaults
  mode http
  option http-keep-alive
  option http-no-delay
  http-reuse always
  timeout connect 5s
  timeout client 120s
  timeout server 120s
frontend f
  bind 127.0.0.1:{port}
  default_backend b
backend b
  server s 127.0.0.1:{upstream}
"""


class BenchError(Exception):
    """The run cannot go on or its numbers would mean nothing."""


def free_port() -> int:
    """A loopback port nobody listens on at this moment."""
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return int(s.getsockname()[1])


def allow_many_files() -> None:
    """Lift the soft limit of open files to the hard one; the servers inherit it (1,000 streams are 2,000 sockets)."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def environment() -> dict[str, str]:
    """Our environment without what would configure the server under test."""
    return {k: v for k, v in os.environ.items() if not k.startswith(("ANTIPHON_", "OPENAI_"))}


class Process:
    """A child process whose output goes to a file, in a session of its own."""

    def __init__(self, name: str, command: list[str], scratch: Path, *, cwd: Path = _ROOT, pipe: bool = False) -> None:
        self.name = name
        self.log = scratch / f"{name}.log"
        with self.log.open("ab") as log:
            self.popen = subprocess.Popen(
                command,
                stdin=subprocess.PIPE if pipe else subprocess.DEVNULL,
                stdout=subprocess.PIPE if pipe else log,
                stderr=log,
                cwd=cwd,
                env=environment(),
                start_new_session=True,
            )

    @property
    def pid(self) -> int:
        """Its process id."""
        return self.popen.pid

    def said(self) -> str:
        """The end of what it wrote, for an error message."""
        return self.log.read_text(errors="replace")[-2000:]

    def stop(self) -> None:
        """Ask it to end, and kill its session after 10 s."""
        if self.popen.poll() is None:
            self.popen.terminate()
            try:
                self.popen.wait(10)
            except subprocess.TimeoutExpired:
                os.killpg(self.popen.pid, signal.SIGKILL)
                self.popen.wait()
        for pipe in (self.popen.stdin, self.popen.stdout):
            if pipe is not None:
                pipe.close()


class Helper(Process):
    """One of our own modules, told by a line on its stdout which port it took."""

    def __init__(self, module: str, scratch: Path, *args: str) -> None:
        super().__init__(module, [sys.executable, "-m", f"bench.{module}", *args], scratch, pipe=True)
        line = self.readline()
        if not line.startswith("port "):
            raise BenchError(f"bench.{module} did not start: {self.said()}")
        self.port = int(line.split()[1])

    def readline(self) -> str:
        """One line of its stdout; empty when it has ended."""
        assert self.popen.stdout is not None
        return self.popen.stdout.readline().decode()


class Load(Process):
    """The load generator; see `bench.load` for the conversation."""

    def __init__(self, scratch: Path) -> None:
        super().__init__("load", [sys.executable, "-m", "bench.load"], scratch, pipe=True)

    def prepare(self, job: Job) -> None:
        """Open and warm up the connections of a job."""
        self._tell(msgspec.json.encode(job))
        self._hear()

    def go(self) -> Result:
        """Run the prepared job. BenchError unless every answer was right."""
        self._tell(b"go")
        result = msgspec.convert(self._hear(), Result)
        if result.failed:
            raise BenchError(f"{result.failed} of {result.requests} answers were wrong: {result.failures}")
        return result

    def _tell(self, line: bytes) -> None:
        assert self.popen.stdin is not None
        self.popen.stdin.write(line + b"\n")
        self.popen.stdin.flush()

    def _hear(self) -> dict[str, Any]:
        assert self.popen.stdout is not None
        line = self.popen.stdout.readline()
        if not line:
            raise BenchError(f"the load generator ended: {self.said()}")
        message: dict[str, Any] = msgspec.json.decode(line)
        if "error" in message:
            raise BenchError(message["error"])
        return message


def haproxy(scratch: Path, upstream: int) -> tuple[Process, int] | None:
    """haproxy as a plain HTTP/1.1 reverse proxy with one thread, or None where it is not installed."""
    program = shutil.which("haproxy")
    if program is None:
        return None
    port = free_port()
    config = scratch / "haproxy.cfg"
    config.write_text(_HAPROXY.format(port=port, upstream=upstream))
    process = Process("haproxy", [program, "-db", "-f", str(config)], scratch)
    deadline = time.monotonic() + 5
    while time.monotonic() < deadline and process.popen.poll() is None:
        with socket.socket() as s:
            if s.connect_ex(("127.0.0.1", port)) == 0:
                return process, port
        time.sleep(0.02)
    process.stop()
    raise BenchError(f"haproxy did not start: {process.said()}")


def default_command() -> str:
    """How this checkout's own server is started."""
    script = Path(sys.executable).parent / "antiphon"
    program = shlex.quote(str(script)) if script.exists() else f"{shlex.quote(sys.executable)} -m antiphon"
    return program + " serve --port {port} --upstream {upstream} --data-dir {data}"


class Server(Process):
    """The server under test. ``listen_s`` and ``answer_s`` are seconds from the command to its first sign of life.

    ``listen_s`` is the first accepted connection, ``answer_s`` the first 200 to ``POST /v1/responses`` with a model's
    text in it: the whole way, storage included.
    """

    def __init__(self, command: str, upstream: int, data: Path, scratch: Path, path: str) -> None:
        self.port = free_port()
        self.path = path
        base = f"http://127.0.0.1:{upstream}/v1"
        line = [part.format(port=self.port, upstream=base, data=data) for part in shlex.split(command)]
        start = time.monotonic()
        super().__init__("server", line, scratch, cwd=scratch)
        self.listen_s = self.answer_s = 0.0
        try:
            self._wait(start)
        except BaseException:
            self.stop()
            raise

    def _wait(self, start: float) -> None:
        problem = "no connection"
        while time.monotonic() - start < (self.listen_s + _WRONG_S if self.listen_s else _PATIENCE_S):
            if self.popen.poll() is not None:
                raise BenchError(f"the server ended: {self.said()}")
            try:
                problem = self._ask(start)
            except ConnectionRefusedError:
                time.sleep(0.003)
                continue
            except (OSError, http.client.HTTPException) as error:
                problem = repr(error)
            if not problem:
                self.answer_s = time.monotonic() - start
                return
            time.sleep(0.02)
        raise BenchError(f"the server gave no right answer ({problem}): {self.said()}")

    def _ask(self, start: float) -> str:
        """What was wrong with the answer; empty when it is right."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=_PATIENCE_S)
        try:
            connection.connect()
            self.listen_s = self.listen_s or time.monotonic() - start
            body = b'{"model": "bench-1", "input": "Say a word."}'
            connection.request("POST", self.path, body, {"content-type": "application/json"})
            reply = connection.getresponse()
            text = reply.read()
            return "" if reply.status == 200 and b" word0" in text else f"{reply.status} {text[:300]!r}"
        finally:
            connection.close()
