"""The network in tests: closed in those that replay, and open to suites that do not use the plugin."""

from __future__ import annotations

import pytest

from tests.tape.plugin.project import Project

#: Clients that no tape sees.
UNSEEN = """
import asyncio
import socket
import urllib.request

def by_urllib():
    urllib.request.urlopen(FAR, data=b"{}", timeout=5).close()

def by_name():
    urllib.request.urlopen(FAR.replace("127.0.0.1", "localhost"), data=b"{}", timeout=5).close()

def by_asyncio():
    async def connect():
        reader, writer = await asyncio.open_connection("127.0.0.1", int(FAR.split(":")[2].split("/")[0]))
        writer.close()
        await writer.wait_closed()
    asyncio.run(connect())

def by_udp():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.sendto(b"x", ("127.0.0.2", 9))

CLIENTS = [by_urllib, by_asyncio, by_udp]

def blocked(client):
    try:
        client()
    except RuntimeError as error:
        assert "is blocked" in str(error)
        return True
    return False
"""


def test_a_recorded_test_that_replays_has_no_network(project: Project) -> None:
    """Loopback is no exception; a test that is not recorded, or that records, has its network."""
    tests = """
    @pytest.mark.recording
    def test_recorded():
        assert [blocked(client) for client in CLIENTS] == [not recording_now] * 3

    def test_other():
        assert [blocked(client) for client in CLIENTS] == [False] * 3
    """
    for mode, recording_now in (("none", False), ("rewrite", True)):
        project.write("test_it.py", UNSEEN + f"recording_now = {recording_now}\n" + tests.replace("\n    ", "\n"))
        run = project.run(f"--record-mode={mode}")
        assert run.outcomes == {"passed": 2}, run.text


@pytest.mark.parametrize("allowed", [r"127\.0\.0\.1,::1"])
def test_allowed_hosts_are_patterns_of_addresses_or_names(allowed: str, project: Project) -> None:
    """By the name that was looked up too, though a socket knows only the address."""
    tests = """
@pytest.mark.recording
def test_recorded():
    by_name()
    assert blocked(by_udp)
"""
    project.write("test_it.py", UNSEEN + tests)
    assert project.run(f"--allowed-hosts={allowed}").outcomes == {"passed": 1}
    assert project.run("--allowed-hosts=example").outcomes == {"failed": 1}


def test_block_network_closes_it_to_all_tests_and_its_marker_to_one(project: Project) -> None:
    """As pytest-recording has it: in recorded tests only when they replay."""
    tests = """
def test_plain():
    assert blocked(by_urllib) is ALL

@pytest.mark.block_network
def test_marked():
    assert blocked(by_urllib)

@pytest.mark.block_network(allowed_hosts=["127"])
def test_allowed():
    assert not blocked(by_urllib)

@pytest.mark.recording
def test_records():
    assert ask("a").status_code == 200
    assert not blocked(by_urllib)
"""
    for everywhere in (False, True):
        project.write("test_it.py", UNSEEN + f"ALL = {everywhere}\n" + tests)
        run = project.run("--record-mode=rewrite", *["--block-network"] * everywhere)
        assert run.outcomes == {"passed": 4}, run.text


def test_a_boundary_that_is_live_passes_the_closed_network(project: Project) -> None:
    """Tools live over replayed inference: the tape lets them through, and only them."""
    tests = """
@pytest.mark.recording(modes={"tools": "live"})
def test_tools():
    rpc = {"jsonrpc": "2.0", "id": 1, "method": "tools/list"}
    assert httpx2.post(FAR.replace("/v1/chat/completions", "/mcp"), json=rpc).status_code == 200
    assert ask("a").status_code == 200
    assert blocked(by_urllib) is REPLAYS

@pytest.mark.recording(ignore_hosts=["127"])
def test_ignored():
    assert ask("not recorded").status_code == 200
    assert blocked(by_urllib) is REPLAYS
"""
    for mode in ("rewrite", "none"):
        project.write("test_it.py", UNSEEN + f"REPLAYS = {mode == 'none'}\n" + tests)
        run = project.run(f"--record-mode={mode}")
        assert run.outcomes == {"passed": 2}, run.text
    assert len([name for name in project.tree if name.endswith(".json")]) == 1


def test_a_suite_without_recordings_does_not_notice(project: Project) -> None:
    """Nothing heavy is imported, nothing is patched, nothing is said."""
    project.write(
        "conftest.py",
        """
        import socket, sys
        CONNECT = socket.socket.connect

        def pytest_sessionfinish():
            heavy = {"httpx", "httpx2", "aiohttp", "msgspec", "antiphon.tape.engine", "antiphon.tape.clients"}
            assert not heavy & set(sys.modules), heavy & set(sys.modules)
            assert socket.socket.connect is CONNECT
            assert not [finder for finder in sys.meta_path if "antiphon" in type(finder).__module__]
        """,
        asking=False,
    )
    project.write("test_it.py", "def test_it():\n    pass\n", asking=False)
    run = project.run(fresh=True, plugins="")
    assert (run.code, run.line) == (0, ""), run.text
    assert run.outcomes == {"passed": 1}
