"""A suite of tests that make one call each, run by pytest: with our plugin, with pytest-recording, and with neither."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from bench import stats
from bench.fleet import BenchError
from bench.report import Line
from bench.tape import library
from bench.tape.field import Field, Scenario, environment, turned

_ROOT = Path(__file__).resolve().parents[2]

_TESTS = """\
import httpx2
import pytest
from bench.tape.questions import RECORDED_URL, question, said

CLIENT = httpx2.Client(trust_env=False)


@pytest.mark.vcr
@pytest.mark.parametrize("number", range({tests}))
def test_question(number):
    assert said(number) in CLIENT.post(RECORDED_URL, json=question(number)).text
"""

# What each test costs, from its set-up to the end of its teardown. Bodies are compared, as ours always are.
_CONFTEST = """\
import json, os, time
import httpx2
import pytest
from bench.tape.questions import answer

COSTS = []


@pytest.fixture(scope="module")
def vcr_config():
    return {"match_on": ["method", "scheme", "host", "port", "path", "query", "body"]}


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_protocol(item, nextitem):
    cpu = time.process_time_ns()
    try:
        return (yield)
    finally:
        COSTS.append((time.process_time_ns() - cpu) / 1e6)


def pytest_unconfigure(config):
    with open(os.environ["BENCH_COSTS"], "w") as out:
        json.dump({"tests": COSTS, "all": time.process_time_ns() / 1e6}, out)


if os.environ.get("BENCH_FLOOR"):
    ready = iter(range(1_000_000))

    def handle_request(self, request):
        b"".join(request.stream)
        stream = httpx2.ByteStream(answer(next(ready)))
        return httpx2.Response(200, headers=[("content-type", "application/json")], stream=stream)

    httpx2.HTTPTransport.handle_request = handle_request
"""

_INI = "[pytest]\nmarkers =\n    vcr: recorded\n"


class Suite(Scenario):
    """CPU of the pytest process for a test of one call, above the same suite whose answers lie ready."""

    name = "pytest"

    def __init__(self, field_: Field) -> None:
        super().__init__(field_)
        self.projects: dict[int, Path] = {}

    def prepare(self) -> None:
        for count in self.field.sizes.others:
            self.projects[count] = self.field.place(f"project of {count}", self._project, count)

    def _tests(self, count: int) -> int:
        return min(self.field.sizes.tests, count)

    def _project(self, root: Path, count: int) -> Path:
        root.mkdir()
        tests = self._tests(count)
        (root / "test_calls.py").write_text(_TESTS.format(tests=tests))
        (root / "test_other.py").write_text("# its tests own the other recordings, and are not run\n")
        (root / "conftest.py").write_text(_CONFTEST)
        (root / "pytest.ini").write_text(_INI)

        def module(number: int) -> str:
            return "test_calls" if number < tests else "test_other"

        library.shelf(root / "recordings", count, lambda n: f"{module(n)}.py::test_question[{n}]")
        # However many other cassettes there are, pytest-recording does not look at them.
        library.cassettes(root / "cassettes" / "test_calls", tests, lambda n: f"test_question[{n}].yaml")
        return root

    def round(self, k: int) -> None:
        if k >= self.field.sizes.slow_rounds:
            return
        for column in turned(
            [f"{who}: {count}" for count in self.projects for who in ("bare", "antiphon", "pytest-recording")], k
        ):
            if column not in self.lost:
                self._run(column)

    def _run(self, column: str) -> None:
        who, _, count = column.partition(": ")
        root = self.projects[int(count)]
        told = self.field.scratch / "costs.json"
        told.unlink(missing_ok=True)
        plugin = {
            "bare": [],
            "antiphon": ["-p", "antiphon.tape.pytest.plugin"],
            "pytest-recording": ["-p", "pytest_recording.plugin"],
        }
        more = {"BENCH_FLOOR": "1"} if who == "bare" else {}
        patience = self.field.sizes.patience_s
        try:
            done = subprocess.run(
                [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *plugin[who], "test_calls.py"],
                cwd=root,
                env=environment(
                    BENCH_COSTS=str(told), PYTHONPATH=str(_ROOT), PYTEST_DISABLE_PLUGIN_AUTOLOAD="1", **more
                ),
                capture_output=True,
                text=True,
                timeout=patience,
                check=False,
            )
        except subprocess.TimeoutExpired:
            self.lost[column] = f"over {patience:.0f} s for {self._tests(int(count))} tests"
            return
        if done.returncode or f"{self._tests(int(count))} passed" not in done.stdout:
            raise BenchError(f"pytest with {who}: {done.stdout[-1500:]}{done.stderr[-500:]}")
        costs = json.loads(told.read_bytes())
        self.samples[column].append(stats.median(costs["tests"][1:]))
        self.samples[f"{column} rest"].append(costs["all"] - sum(costs["tests"][1:]))

    def lines(self) -> list[Line]:
        out = []
        for count in self.projects:
            base = f"bare: {count}"
            for who in ("antiphon", "pytest-recording"):
                column = f"{who}: {count}"
                note = ""
                if column not in self.lost:
                    rest = self.middle(f"{column} rest") - self.middle(f"{base} rest")
                    note = f"(and {rest:+,.0f} ms a run)"
                out.append(
                    self.line(
                        f"pytest, {count:,} recordings: a test of one call", "ms CPU/test", column, base, note=note
                    )
                )
        return out
