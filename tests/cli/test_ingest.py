"""``antiphon ingest``: a folder goes into a vector store of a real server, once, and again only where it changed."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from antiphon.cli.command import main
from antiphon.cli.ingest.walk import walk
from antiphon.config import Config, StorageConfig
from tests.files.parsing.documents import docx, pdf, zipped
from tests.server import Server

PNG = b"\x89PNG\r\n\x1a\n" + bytes(64)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server that these tests share, each with a store of its own."""
    server = Server(Config(discover=False, storage=StorageConfig(data_dir=str(tmp_path_factory.mktemp("data")))))
    server.start()
    yield server
    server.stop()


def put(folder: Path, files: Mapping[str, bytes]) -> Path:
    """Writes files, by their paths below a folder."""
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    return folder


def ingest(server: Server, folder: Path, store: str, *more: str, code: int = 0) -> Result:
    """Runs the command, which must end so."""
    done = CliRunner().invoke(main, ["ingest", str(folder), "--store", store, "--url", server.root, *more])
    assert done.exit_code == code, done.output
    return done


def there(server: Server, store: str) -> dict[str, Any]:
    """The files of a store of this name, by path."""
    (found,) = [one for one in server.client.vector_stores.list(limit=100) if one.name == store]
    files = server.client.vector_stores.files.list(found.id, limit=100)
    return {str((file.attributes or {})["path"]): file for file in files}


def test_a_folder(server: Server, tmp_path: Path) -> None:
    """Documents of every kind go in, the store is made for them, and they can be found."""
    folder = put(
        tmp_path,
        {
            "moon.pdf": pdf("Aurora has forty-two inhabitants"),
            "deep/er/soup.docx": docx("Beetroot and dill"),
            'od"d näme.md': b"# Zebras\n",
            "data.csv": b"a,b\n1,2\n",
        },
    )
    done = ingest(server, folder, "all")
    assert sorted(done.stdout.splitlines()[:-1]) == [
        "added     data.csv",
        "added     deep/er/soup.docx",
        "added     moon.pdf",
        'added     od"d näme.md',
    ]
    assert done.stdout.splitlines()[-1].endswith("4 added, 0 updated, 0 unchanged.")
    files = there(server, "all")
    assert {file.status for file in files.values()} == {"completed"}
    store = files["moon.pdf"].vector_store_id
    assert store in done.stdout
    found = list(server.client.vector_stores.search(store, query="How many inhabitants?", max_num_results=1))
    assert (found[0].filename, found[0].attributes["path"]) == ("moon.pdf", "moon.pdf")  # type: ignore[index]


def test_again(server: Server, tmp_path: Path) -> None:
    """What is there unchanged stays; what has changed takes the place of what was there, also in the list of files."""
    folder = put(tmp_path, {"a.md": b"one", "b.md": b"two"})
    ingest(server, folder, "again")
    first = there(server, "again")
    put(folder, {"b.md": b"other words", "c.md": b"three"})
    done = ingest(server, folder, "again")
    assert sorted(done.stdout.splitlines()[:-1]) == ["added     c.md", "updated   b.md"]
    assert done.stdout.splitlines()[-1].endswith("1 added, 1 updated, 1 unchanged.")
    second = there(server, "again")
    assert second["a.md"].id == first["a.md"].id
    assert second["b.md"].id != first["b.md"].id
    assert server.http.get(f"/v1/files/{first['b.md'].id}").status_code == 404
    assert ingest(server, folder, "again").stdout.endswith("0 added, 0 updated, 3 unchanged.\n")
    # The id names it as well.
    assert "3 unchanged" in ingest(server, folder, second["a.md"].vector_store_id).stdout


def test_where_it_was_stopped(server: Server, tmp_path: Path) -> None:
    """After half of it the rest is sent, and nothing twice."""
    folder = put(tmp_path, {f"{n}.md": f"number {n}".encode() for n in range(6)})
    ingest(server, folder, "half", "--include", "[0-2].md")
    before = {file.id for file in there(server, "half").values()}
    assert ingest(server, folder, "half").stdout.endswith("3 added, 0 updated, 3 unchanged.\n")
    assert before < {file.id for file in there(server, "half").values()}


def test_files_that_fail(server: Server, tmp_path: Path) -> None:
    """They are told at the end, by name and reason; the others are in, and what was there before stays."""
    folder = put(
        tmp_path, {"bad.pdf": b"%PDF-1.4 nonsense", "good.md": b"fine", "locked.pdf": pdf("x", encrypted=True)}
    )
    done = ingest(server, folder, "failing", code=1)
    bad, locked = done.stderr.splitlines()
    assert bad.startswith("failed    bad.pdf: The file cannot be read")
    assert locked == "failed    locked.pdf: The file is protected by a password. Send it without one."
    assert done.stdout.splitlines()[0] == "added     good.md"
    assert done.stdout.endswith("1 added, 0 updated, 0 unchanged, 2 failed.\n")
    # They are tried again, and can be mended.
    put(folder, {"bad.pdf": pdf("mended")})
    assert "1 added" not in ingest(server, folder, "failing", code=1).stdout
    assert there(server, "failing")["bad.pdf"].status == "completed"
    good = there(server, "failing")["bad.pdf"].id
    put(folder, {"bad.pdf": b"%PDF-1.4 nonsense"})
    ingest(server, folder, "failing", code=1)
    assert there(server, "failing")["bad.pdf"].id == good


def test_what_is_left_out(server: Server, tmp_path: Path) -> None:
    """Hidden files, empty ones, and what holds no text, whatever it is called; their number is told."""
    folder = put(
        tmp_path,
        {
            "a.md": b"words",
            ".hidden.md": b"x",
            ".git/config": b"x",
            "empty.md": b"",
            "picture.md": PNG,
            "archive.zip": zipped({"a.txt": "x"}),
            "noise.dat": bytes(range(256)),
        },
    )
    (folder / "nowhere.md").symlink_to(folder / "none")
    assert ingest(server, folder, "left").stdout == (
        f"added     a.md\nStore 'left' ({there(server, 'left')['a.md'].vector_store_id}): 1 added, 0 updated, "
        "0 unchanged, 6 left out (hidden, empty or without text).\n"
    )


@pytest.mark.parametrize(
    ("include", "exclude", "names"),
    [
        ((), (), {"a.md", "b.txt", "sub/c.md", "sub/deep/d.py"}),
        (("*.md",), (), {"a.md", "sub/c.md"}),
        (("sub/*",), (), {"sub/c.md", "sub/deep/d.py"}),
        ((), ("*.md", "deep"), {"b.txt"}),
        ((), ("sub",), {"a.md", "b.txt"}),
        (("*.md", "*.py"), ("sub/c.*",), {"a.md", "sub/deep/d.py"}),
    ],
)
def test_patterns(tmp_path: Path, include: tuple[str, ...], exclude: tuple[str, ...], names: set[str]) -> None:
    """By name or path; what was not asked for is not counted."""
    put(tmp_path, dict.fromkeys(["a.md", "b.txt", "sub/c.md", "sub/deep/d.py"], b"x"))
    found = walk(tmp_path, include, exclude)
    assert (found.files.keys(), found.left_out) == (names, 0)


def test_without_a_server(tmp_path: Path) -> None:
    """It says where it looked, and how to start one."""
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{holder.getsockname()[1]}"
        done = CliRunner().invoke(main, ["ingest", str(tmp_path), "--store", "s"], env={"ANTIPHON_URL": url})
    assert done.exit_code == 2
    assert done.stderr.startswith(f"antiphon: No server answers at {url}/v1: ")
    assert done.stderr.endswith("Start one with 'antiphon serve', or name another with --url.\n")


@pytest.mark.skipif(sys.platform == "win32", reason="there are no terminals of this kind")
def test_a_person_sees_a_bar(server: Server, tmp_path: Path) -> None:
    """On a terminal there is a bar with counts, and no line for each file."""
    import pty

    folder = put(tmp_path, {"a.md": b"one", "b.md": b"two"})
    ours, theirs = pty.openpty()
    command = [sys.executable, "-m", "antiphon", "ingest", str(folder), "--store", "bar", "--url", server.root]
    done = subprocess.run(
        command, stdout=theirs, stderr=subprocess.PIPE, env={**os.environ, "TERM": "xterm"}, timeout=60
    )
    os.close(theirs)
    seen = os.read(ours, 65536).decode()
    os.close(ours)
    assert done.returncode == 0, done.stderr
    assert "2/2" in seen
    assert "added     " not in seen
    assert "2 added" in seen
