"""Beside other plugins: suites written for pytest-recording, and pytest-recording itself."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.tape.plugin.project import Project

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


TESTS = """
def test_plain():
    pass

@pytest.mark.recording
def test_marked():
    raise AssertionError("it ran without its recording")

def test_asking(recording):
    raise AssertionError("it ran without its recording")
"""


@pytest.mark.parametrize("package", ["pytest_recording", "cassetter"])
def test_beside_another_recorder_it_steps_aside_and_says_so(package: str, project: Project, tmp_path: Path) -> None:
    """No crash, whichever is loaded first; one line; and no test runs without the recording that it counts on."""
    other = tmp_path / "other"
    plugin = package.removeprefix("pytest_")
    (other / package).mkdir(parents=True)
    (other / package / "__init__.py").write_text(
        "def pytest_addoption(parser):\n"
        "    group = parser.getgroup('recording')\n"
        "    for name in ('--record-mode', '--block-network', '--allowed-hosts', '--disable-recording'):\n"
        "        group.addoption(name, default=None)\n"
    )
    information = other / f"{package}-1.dist-info"
    information.mkdir()
    (information / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: 1\n")
    (information / "entry_points.txt").write_text(f"[pytest11]\n{plugin} = {package}\n")
    project.write("tests/test_it.py", TESTS)
    shown = package.replace("_", "-")
    for options in ((), ("-p", "no:" + plugin)):
        run = project.run("tests", "-v", *_loaded(), *options, autoload=True, path=str(other))
        aside = f"antiphon: recordings are off, because {shown} is installed" in run.text
        assert aside is not options, run.text
        assert "usage:" not in run.text
        if not options:
            assert run.outcomes == {"passed": 1, "error": 2}
            assert "it ran without" not in run.text
        else:
            assert run.outcomes == {"passed": 1, "failed": 2}


def _loaded() -> tuple[str, ...]:
    """The plugin by its name, unless the installed distribution has an entry point for it already."""
    from importlib.metadata import entry_points

    return (
        ()
        if any(one.name == "antiphon" for one in entry_points(group="pytest11"))
        else ("-p", "antiphon.tape.pytest.plugin")
    )


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
