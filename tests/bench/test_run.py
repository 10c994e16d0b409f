"""The benchmark as a command: its processes over real sockets, and its exit status."""

from __future__ import annotations

import sys
from pathlib import Path

import msgspec
import pytest

import bench
from bench import fleet
from bench.__main__ import arguments, main, sizes
from bench.fleet import BenchError, Helper, Load
from bench.load import Job
from bench.report import Report
from bench.script import Script

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the benchmark needs Linux clocks and timers")


def test_back_end_floor_and_load_carry_whole_streams(tmp_path: Path) -> None:
    """Through the floor every token arrives in a read of its own, evenly or in step, and a wrong model is found out."""
    back = Helper("upstream", tmp_path)
    floor = Helper("forwarder", tmp_path, str(back.port))
    load = Load(tmp_path)
    try:
        for script in (Script(5), Script(5, 400, step=True)):
            load.prepare(
                Job(
                    port=floor.port,
                    dialect="chat",
                    path="/v1/chat/completions",
                    model=script.model,
                    connections=3,
                    requests=7,
                    gaps=True,
                )
            )
            result = load.go()
            assert (result.requests, result.deltas, len(result.ttft)) == (7, 35, 7)
        with pytest.raises(BenchError, match="status 404"):
            load.prepare(Job(port=floor.port, model="bench-1", path="/nowhere", connections=1, requests=1))
    finally:
        for process in (load, floor, back):
            process.stop()
    assert {process.popen.returncode for process in (load, floor, back)} <= {0, -15}


# A server that knows the scripts but not the back end: enough to be measured. It forgets a delta when told to.
SERVER = """
import http.server, json, sys
sys.path.insert(0, sys.argv[2])
from bench.script import parse
class Server(http.server.ThreadingHTTPServer):
    request_queue_size = 128
class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def do_POST(self):
        script = parse(json.loads(self.rfile.read(int(self.headers["content-length"])))["model"])
        deltas = script.tokens - ("wrong" in sys.argv)
        out = 'data: {"type":"response.output_text.delta"}\\n\\n' * deltas
        out += 'data: {"type":"response.completed","text":"%s"}\\n\\n' % script.text
        self.send_response(200)
        self.send_header("content-length", str(len(out)))
        self.end_headers()
        self.wfile.write(out.encode())
    def log_message(self, *a): pass
Server(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()
"""


def command(tmp_path: Path, *, wrong: bool) -> str:
    program = tmp_path / "server.py"
    program.write_text(SERVER)
    root = Path(bench.__file__).parents[1]
    return f"{sys.executable} {program} {{port}} {root} {'wrong' if wrong else ''}"


ARGUMENTS = ["--quick", "--rounds", "1", "--scale", "0.01"]


def test_a_run_writes_its_rounds_and_ends_by_its_bounds(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The table goes to stdout, every round to the file, and the exit status says whether the bounds hold."""
    out = tmp_path / "run.json"
    status = main(
        [*ARGUMENTS, "--scenarios", "tok1,start", "--json", str(out), "--command", command(tmp_path, wrong=False)]
    )
    done = msgspec.json.decode(out.read_bytes(), type=Report)
    assert status == done.exit_code()
    names = [line.name for line in done.lines]
    assert names[0].startswith("tok1")
    assert names[-1].startswith("start")
    printed = capsys.readouterr().out
    assert all(name in printed for name in names)


def test_a_server_that_answers_wrongly_is_never_measured(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Exit status 2 and the reason, no table."""
    assert main([*ARGUMENTS, "--scenarios", "tok1", "--command", command(tmp_path, wrong=True)]) == 2
    said = capsys.readouterr()
    assert "0 deltas, not 1" in said.err
    assert not said.out


def test_a_server_that_ends_at_once_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Its last words are in the message."""
    assert main([*ARGUMENTS, "--command", f"{sys.executable} -c 'raise SystemExit(\"no such luck\")'"]) == 2
    assert "no such luck" in capsys.readouterr().err


def test_the_command_line_decides_how_much_is_done() -> None:
    """A smaller scale asks for fewer requests, yet never leaves a connection without one."""
    small = sizes(arguments(["--scale", "0.001", "--ladder", "5,6"]))
    assert (small.one_token, small.long_streams, small.ladder) == (32, 32, (5, 6))
    assert sizes(arguments([])).one_token > sizes(arguments(["--quick"])).one_token
    with pytest.raises(SystemExit):
        arguments(["--scenarios", "tok1,nonsense"])


def test_the_server_under_test_is_not_configured_by_our_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """What would point it at another upstream or database does not reach it."""
    monkeypatch.setenv("OPENAI_BASE_URL", "http://elsewhere")
    monkeypatch.setenv("ANTIPHON_DATABASE_URL", "sqlite://elsewhere")
    assert not [name for name in fleet.environment() if name.startswith(("OPENAI_", "ANTIPHON_"))]
