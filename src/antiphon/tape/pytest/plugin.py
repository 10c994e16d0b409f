"""The pytest plugin: its hooks and fixtures. Everything heavy is imported by the first test that is recorded.

A suite without such a test runs as if the plugin were not there. A test is recorded when it is marked ``recording``
(or ``vcr``), when it asks for the fixture of that name, or when the configuration says ``record_all``.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator
from typing import TYPE_CHECKING, Any

import pytest

from antiphon.tape.pytest import neighbours, options

if TYPE_CHECKING:
    import datetime

    from antiphon.tape.pytest.recording import Recording
    from antiphon.tape.pytest.session import Recordings

_HOOKS: pytest.StashKey[Hooks] = pytest.StashKey()
#: The fixtures that do the work. The names for users may be other fixtures of theirs.
_RECORDS = "_antiphon_recording"
_BLOCKS = "_antiphon_block_network"


def pytest_addoption(parser: pytest.Parser, pluginmanager: pytest.PytestPluginManager) -> None:
    """Options, but for those that another recorder brings: pytest knows an option once."""
    options.add_ini(parser)
    options.add_options(parser)
    options.add_shared(parser, neighbours.options(pluginmanager))


@pytest.hookimpl(tryfirst=True)
def pytest_load_initial_conftests(parser: pytest.Parser) -> None:
    """All plugins are loaded now: options that another was to bring and did not are ours after all."""
    options.add_shared(parser)


def pytest_configure(config: pytest.Config) -> None:
    """Markers, and the rest of the plugin."""
    theirs = neighbours.mind_vcr(config.pluginmanager)
    for marker in (*options.MARKERS, *(() if theirs else options.VCR_MARKERS)):
        config.addinivalue_line("markers", marker)
    hooks = Hooks(config)
    config.stash[_HOOKS] = hooks
    config.pluginmanager.register(hooks, "antiphon-recordings")


@pytest.fixture(name=_RECORDS)
def _recording(request: pytest.FixtureRequest) -> Iterator[Recording]:
    yield from request.config.stash[_HOOKS].recordings().run(request)


@pytest.fixture
def recording(_antiphon_recording: Recording) -> Recording:
    """The recording of this test: its calls, misses, usage, variables and scopes."""
    return _antiphon_recording


@pytest.fixture
def recording_config() -> dict[str, Any]:
    """Override it: what the marker ``recording`` may say, for all tests of a directory, a module or a class."""
    return {}


@pytest.fixture
def recording_clock(_antiphon_recording: Recording) -> datetime.datetime:
    """The time at which this test was recorded, in UTC: the same on every replay."""
    import datetime

    now = datetime.datetime.now(datetime.UTC)
    return datetime.datetime.fromisoformat(_antiphon_recording.var("clock", lambda: now.isoformat(timespec="seconds")))


@pytest.fixture(name=_BLOCKS)
def _block_network(request: pytest.FixtureRequest) -> Iterator[None]:
    """No connections in a test that is not recorded."""
    from antiphon.tape.pytest import guard

    chosen = request.config.stash[_HOOKS].options
    marker = request.node.get_closest_marker("block_network")
    allowed = (marker.kwargs.get("allowed_hosts") if marker is not None else None) or chosen.allowed_hosts
    why = "the test is marked block_network" if marker is not None else "--block-network"
    with guard.blocked(allowed or chosen.allowed_by_file, lambda: False, why):
        yield


class Hooks:
    """The hooks of a plugin that is in use."""

    def __init__(self, config: pytest.Config) -> None:
        self._config = config
        self.options = options.Options(config)
        self._vcr_is_theirs = neighbours.mind_vcr(config.pluginmanager)
        self._they_block = neighbours.block(config.pluginmanager)
        self._recordings: Recordings | None = None
        self._from_workers: list[dict[str, Any]] = []
        self._deselected = False

    def recordings(self) -> Recordings:
        """The recordings of this session, made for the first test that needs them."""
        if self._recordings is None:
            from antiphon.tape.pytest.session import Recordings

            self._recordings = Recordings(self._config, self.options)
        return self._recordings

    @pytest.hookimpl(trylast=True)
    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        """Those that are recorded, or blocked, get the fixture that does it: the first of the function's own."""
        for item in items:
            names = getattr(item, "fixturenames", None)
            if names is None:
                continue
            if _RECORDS in names or self._recorded(item):
                wanted = _RECORDS
            elif self._blocked(item):
                wanted = _BLOCKS
            else:
                continue
            rest = [name for name in names if name != wanted]
            at = sum(1 for name in rest if _wider_than_function(item, name))
            item.fixturenames = [*rest[:at], wanted, *rest[at:]]  # type: ignore[attr-defined]

    def pytest_deselected(self, items: list[pytest.Item]) -> None:
        """Then nothing can be said about recordings that no test plays."""
        self._deselected = self._deselected or bool(items)

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_call(self, item: pytest.Item) -> Generator[None, object, object]:
        """A miss that the application swallowed fails its test all the same."""
        recordings = self._recordings
        if recordings is None or not recordings.running(item):
            return (yield)
        try:
            result = yield
        except BaseException:
            recordings.explain(item)
            raise
        recordings.judge_call(item)
        return result

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(self, item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
        """Whether it passed decides about what it recorded."""
        report = yield
        if self._recordings is not None:
            self._recordings.reported(item, report)
        return report

    @pytest.hookimpl(optionalhook=True)
    def pytest_testnodedown(self, node: Any, error: object) -> None:
        """A worker of xdist is done."""
        found = getattr(node, "workeroutput", {}).get("antiphon")
        if found:
            self._from_workers.append(found)

    @pytest.hookimpl(trylast=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        """What was forgotten is looked for, and told to the process that sums up."""
        if self._recordings is not None:
            whole = not self._deselected and not session.shouldfail and not session.shouldstop
            found = self._recordings.finish(session.items if whole else None)
            output = getattr(self._config, "workeroutput", None)
            if output is not None:
                output["antiphon"] = found
                return
            self._from_workers.append(found)
        if self._from_workers:
            from antiphon.tape.pytest import summary

            failed = summary.close(self._config, self.options, self._from_workers)
            if failed and session.exitstatus == pytest.ExitCode.OK:
                session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        """The closing line."""
        if self._from_workers:
            from antiphon.tape.pytest import summary

            summary.say(terminalreporter, self.options, self._from_workers)

    def _recorded(self, item: pytest.Item) -> bool:
        if self.options.all_tests or item.get_closest_marker("recording") is not None:
            return True
        return not self._vcr_is_theirs and item.get_closest_marker("vcr") is not None

    def _blocked(self, item: pytest.Item) -> bool:
        wanted = self.options.block_all or item.get_closest_marker("block_network") is not None
        return wanted and not self._they_block


def _wider_than_function(item: pytest.Item, name: str) -> bool:
    found = getattr(item, "_fixtureinfo", None)
    definitions = found.name2fixturedefs.get(name) if found is not None else None
    return definitions is not None and bool(definitions) and definitions[-1].scope != "function"
