"""Uploads to a process of its own: long ones, ones that break off, and a server that is killed in the middle."""

from __future__ import annotations

import signal
import socket
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx2
import psutil

from tests.behaviour.processes import Process, Processes
from tests.upstreams import PATIENCE

MIB = 1024 * 1024
HEAD = b'--b\r\ncontent-disposition: form-data; name="file"; filename="a"\r\n\r\n'
TAIL = b'\r\n--b\r\ncontent-disposition: form-data; name="purpose"\r\n\r\nuser_data\r\n--b--\r\n'
#: What a server may grow by while a file goes through it, of any length.
GROWTH = 24 * MIB


def folder(tmp_path: Path) -> Path:
    """Where the server of these tests keeps its files."""
    return tmp_path / "data" / "files"


def kept(tmp_path: Path) -> list[Path]:
    """Every file on the disk: whole ones, half ones, notes."""
    return [path for path in folder(tmp_path).rglob("*") if path.is_file()]


def begun(server: Process, size: int) -> socket.socket:
    """A connection on which a file of this size is begun."""
    there = socket.create_connection(("127.0.0.1", int(server.root.rpartition(":")[2])), PATIENCE)
    length = len(HEAD) + size + len(TAIL)
    head = f"POST /v1/files HTTP/1.1\r\nhost: x\r\ncontent-length: {length}\r\n"
    there.sendall(f"{head}content-type: multipart/form-data; boundary=b\r\n\r\n".encode() + HEAD)
    return there


def half_sent(server: Process, tmp_path: Path) -> socket.socket:
    """A connection on which half of a file was sent, and some of it is on the disk."""
    there = begun(server, 16 * MIB)
    there.sendall(b"x" * 8 * MIB)
    until(lambda: any(path.stat().st_size for path in folder(tmp_path).glob("tmp/*")))
    return there


def until(true: Callable[[], bool]) -> None:
    """Waits for what another process does to its folder, which gives no event."""
    end = time.monotonic() + PATIENCE
    while not true():
        assert time.monotonic() < end, "it did not happen"
        time.sleep(0.01)


def zeros(size: int) -> Iterator[bytes]:
    """A form with a file of zeros, made as it is sent."""
    yield HEAD
    piece = bytes(MIB)
    for _ in range(size // MIB):
        yield piece
    yield TAIL


def sent(server: Process, size: int, *, declared: bool) -> httpx2.Response:
    """The reply to a file of zeros."""
    headers = {"content-type": "multipart/form-data; boundary=b"}
    if declared:
        headers["content-length"] = str(len(HEAD) + size + len(TAIL))
    with httpx2.Client(base_url=server.root, timeout=PATIENCE, trust_env=False) as client:
        return client.post("/v1/files", content=zeros(size), headers=headers)


def test_a_long_file_is_not_held_in_memory(processes: Processes, tmp_path: Path) -> None:
    """In and out again, the server grows by a fixed amount, not by the file."""
    server = processes().answering()
    process = psutil.Process(server.pid)
    assert sent(server, MIB, declared=True).status_code == 200  # what is loaded at the first use is not counted
    before = process.memory_info().rss
    size = 128 * MIB
    made = sent(server, size, declared=False).raise_for_status().json()
    assert made["bytes"] == size
    most = process.memory_info().rss
    with httpx2.Client(base_url=server.root, timeout=PATIENCE, trust_env=False) as client:
        with client.stream("GET", f"/v1/files/{made['id']}/content") as content:
            assert sum(len(piece) for piece in content.iter_bytes()) == size
        most = max(most, process.memory_info().rss)
        assert client.delete(f"/v1/files/{made['id']}").status_code == 200
    assert most - before < GROWTH
    assert len(kept(tmp_path)) == 1, "the first one"


def test_what_is_too_long_is_refused(processes: Processes, tmp_path: Path) -> None:
    """Two gigabytes to a server that takes 16 MiB: refused before they are read where they are declared, else at the
    limit; nothing stays, and the server does not grow."""
    server = processes(ANTIPHON_FILES__MAX_FILE_BYTES=str(16 * MIB)).answering()
    process = psutil.Process(server.pid)
    assert sent(server, MIB, declared=True).status_code == 200
    before = process.memory_info().rss
    with begun(server, 2048 * MIB) as there:
        assert there.recv(1000).startswith(b"HTTP/1.1 413 ")
    reply = sent(server, 64 * MIB, declared=False)
    assert (reply.status_code, reply.json()["error"]["code"]) == (413, "payload_too_large")
    assert process.memory_info().rss - before < GROWTH
    assert len(kept(tmp_path)) == 1


def test_who_hangs_up_leaves_nothing(processes: Processes, tmp_path: Path) -> None:
    """Half a file is gone as soon as its sender is."""
    server = processes().answering()
    half_sent(server, tmp_path).close()
    until(lambda: not kept(tmp_path))


def test_a_kill_in_the_middle(processes: Processes, tmp_path: Path) -> None:
    """The next server removes what the killed one had begun, and keeps what it had told of."""
    server = processes().answering()
    file_id = sent(server, MIB, declared=True).json()["id"]
    there = half_sent(server, tmp_path)
    server.signal(signal.SIGKILL)
    assert server.ended() == -signal.SIGKILL
    there.close()
    assert len(kept(tmp_path)) == 2
    server = processes().answering()
    until(lambda: len(kept(tmp_path)) == 1)
    got = httpx2.get(f"{server.root}/v1/files/{file_id}/content", trust_env=False)
    assert got.content == bytes(MIB)


def test_a_full_disk(processes: Processes, tmp_path: Path) -> None:
    """A file that the disk does not take is an error that says so, and nothing of it stays; others are taken."""
    server = processes().answering()
    psutil.Process(server.pid).rlimit(psutil.RLIMIT_FSIZE, (4 * MIB, 4 * MIB))
    reply = sent(server, 8 * MIB, declared=True)
    assert (reply.status_code, reply.json()["error"]["code"]) == (503, "disk_full")
    assert kept(tmp_path) == []
    assert sent(server, MIB, declared=True).status_code == 200
