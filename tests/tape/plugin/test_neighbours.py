"""Beside other plugins: suites written for pytest-recording, and pytest-recording itself."""

from __future__ import annotations

from importlib.metadata import entry_points
from pathlib import Path

import pytest

from tests.tape.plugin.project import Project

PLUGIN = "antiphon.tape.pytest.plugin"

FOR_VCR = """
@pytest.fixture(scope="module")
def vcr_config():
    return {"filter_headers": ["authorization"], "record_mode": "new_episodes", "ignore_localhost": IGNORE}

@pytest.mark.vcr
def test_old():
    assert ask("a").status_code == 200

@pytest.mark.vcr("other.yaml", record_mode="none")
def test_none():
    assert ask("b").status_code == CODE
"""


def test_the_marker_vcr_is_understood(project: Project) -> None:
    """With the parts of its configuration that mean something here; of the rest it is said that it does nothing."""
    project.write("test_it.py", FOR_VCR.replace("IGNORE", "False").replace("CODE", "424"))
    run = project.run()
    assert run.outcomes == {"passed": 1, "failed": 1}, run.text
    assert "without effect in the configuration of vcr: cassette names, filter_headers" in run.text
    assert project.far.hits == 1
    project.write("test_it.py", FOR_VCR.replace("IGNORE", "True").replace("CODE", "200"))
    assert project.run().outcomes == {"passed": 2}
    assert project.far.hits == 3


BOTH = """
@pytest.mark.vcr
def test_theirs(request):
    assert "theirs" in request.fixturenames
    assert "_antiphon_recording" not in request.fixturenames
    ask("theirs")

@pytest.mark.recording
def test_ours(recording):
    ask("ours")
    assert (recording.calls == []) is OFF
"""

#: What is in other recorders: options of the same names, and a fixture for tests that are marked ``vcr``.
OTHER = """
import pytest

def pytest_addoption(parser):
    group = parser.getgroup("recording")
    group.addoption("--record-mode", default=None, choices=["none", "once", "rewrite"])
    for name in SWITCHES:
        group.addoption(name, action="store_true")
    if SWITCHES:
        group.addoption("--allowed-hosts", default=None)

def pytest_configure(config):
    config.addinivalue_line("markers", "vcr: theirs")

@pytest.fixture(autouse=True)
def theirs():
    pass
"""
SWITCHES = {"pytest_recording": ("--block-network", "--disable-recording"), "cassetter": ()}


@pytest.mark.parametrize("package", ["pytest_recording", "cassetter"])
def test_beside_another_recorder_each_keeps_its_tests(package: str, project: Project, tmp_path: Path) -> None:
    """The options are shared, whichever is loaded first; ``--tape-mode`` is for ours alone."""
    other = _installed(tmp_path / "other", package, OTHER.replace("SWITCHES", repr(SWITCHES[package])))
    project.write("tests/test_it.py", BOTH.replace("OFF", "False"))
    for options, hits, files in (
        (("--record-mode=rewrite",), 2, 1),
        (("--record-mode=rewrite", "--tape-mode=none"), 1, 1),
        (("--block-network", "--allowed-hosts=127", "--tape-mode=verify"), 2, 1),
    ):
        before = project.far.hits
        run = project.run("tests", *_loaded(), *options, autoload=True, path=str(other))
        assert run.outcomes == {"passed": 2}, run.text
        made = [name for name in project.tree if name.endswith(".json") and not name.startswith("other")]
        assert (project.far.hits - before, len(made)) == (hits, files)
    project.write("tests/test_it.py", BOTH.replace("OFF", "True"))
    run = project.run("tests", *_loaded(), "--disable-recording", autoload=True, path=str(other))
    assert run.outcomes == {"passed": 2}, run.text


def test_without_the_other_recorder_its_options_are_ours(project: Project, tmp_path: Path) -> None:
    """It is installed and not loaded, by ``-p no:`` or because nothing is: there is no option missing."""
    other = _installed(tmp_path / "other", "pytest_recording", OTHER.replace("SWITCHES", "()"))
    project.write("tests/test_it.py", "def test_it():\n    pass\n")
    for options in (("-p", "no:recording"), ("--disable-plugin-autoload", "-p", PLUGIN)):
        run = project.run(
            "tests",
            *_loaded(),
            *options,
            "--block-network",
            "--record-mode=new_episodes",
            autoload=True,
            path=str(other),
        )
        assert run.outcomes == {"passed": 1}, run.text


def test_markers_of_pytest_recording_are_known(project: Project) -> None:
    """Under --strict-markers too; a cassette's name has no effect, and the run says so."""
    project.write(
        "test_it.py",
        FOR_VCR.replace("IGNORE", "True")
        .replace("CODE", "200")
        .replace("@pytest.mark.vcr\n", "@pytest.mark.default_cassette('a.yaml')\n@pytest.mark.vcr\n"),
    )
    run = project.run()
    assert run.outcomes == {"passed": 2}, run.text
    assert "cassette names" in run.text


NAMESAKES = """
@pytest.fixture
def first():
    return []

@pytest.fixture
def recording(first):
    first.append("a sound")
    return first

def test_sound(first, recording):
    assert recording == ["a sound"]
    assert ask("anybody").status_code == 200

@pytest.mark.recording
def test_both(recording):
    assert recording == ["a sound"]
    assert ask("a model").status_code == 200
"""


def test_a_fixture_of_the_suite_may_have_the_name(project: Project) -> None:
    """Then it is the suite's, and records nothing by itself."""
    project.write("test_it.py", NAMESAKES)
    run = project.run("--record-mode=rewrite")
    assert run.outcomes == {"passed": 2}, run.text
    assert "1 recorded" in run.line


@pytest.mark.parametrize("named", [(), ("-p", PLUGIN), ("-p", "antiphon")])
def test_the_plugin_may_be_named_although_it_is_installed(
    named: tuple[str, ...], project: Project, tmp_path: Path
) -> None:
    """Once, twice, by either of its names: it is there once, and says nothing."""
    path = _installed(tmp_path / "ours", "antiphon", None)
    project.write("tests/test_it.py", "def test_it(recording):\n    ask('a')\n")
    run = project.run("tests", *named, *named, "--record-mode=rewrite", autoload=True, path=str(path))
    assert (run.outcomes, "warning" in run.text) == ({"passed": 1}, False), run.text
    assert project.run("tests", "-p", "no:antiphon", autoload=True, path=str(path)).outcomes == {"error": 1}


def _installed(where: Path, package: str, text: str | None) -> Path:
    """A distribution with a plugin; without ``text`` that of ours, as it will be installed."""
    target = "antiphon.tape.pytest.entry" if text is None else package
    if text is not None:
        (where / package).mkdir(parents=True)
        (where / package / "__init__.py").write_text(text)
    information = where / f"{package}-1.dist-info"
    information.mkdir(parents=True)
    (information / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: 1\n")
    name = package.removeprefix("pytest_")
    (information / "entry_points.txt").write_text(f"[pytest11]\n{name} = {target}\n")
    return where


def _loaded() -> tuple[str, ...]:
    """The plugin by its name, unless the installed distribution has an entry point for it already."""
    return () if any(one.name == "antiphon" for one in entry_points(group="pytest11")) else ("-p", PLUGIN)


def test_classes_of_unittest_are_recorded_too(project: Project) -> None:
    """By the marker of their class."""
    tests = """
    import unittest

    @pytest.mark.recording
    class TestOld(unittest.TestCase):
        def test_it(self):
            self.assertEqual(ask("a").status_code, 200)

        def test_swallows(self):
            ask("b")
    """
    project.write("test_it.py", tests)
    assert project.run("--record-mode=rewrite").outcomes == {"passed": 2}
    assert project.run().outcomes == {"passed": 2}
    project.write("test_it.py", tests.replace('"b"', '"c"'))
    assert project.run().outcomes == {"passed": 1, "failed": 1}
    assert project.far.hits == 2
