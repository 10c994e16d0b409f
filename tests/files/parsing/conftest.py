"""Readers of files, each with the processes that it starts."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from antiphon.config import ParsingConfig
from antiphon.files.parsing import Parsed, Parsers

#: Content, name, and what the client said that it is.
Read = Callable[..., Parsed]


@pytest.fixture(scope="package")
def read(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Read]:
    """Reads a content, with processes that all these tests share."""
    folder = tmp_path_factory.mktemp("read")
    with asyncio.Runner() as runner:
        parsers = Parsers(ParsingConfig(workers=1, max_unpacked_bytes=64 * 1024 * 1024, max_entries=100))

        def read(content: bytes, filename: str = "a", media_type: str | None = None) -> Parsed:
            path = folder / "blob"
            path.write_bytes(content)
            return runner.run(asyncio.wait_for(parsers.text(path, filename, media_type), 60))

        yield read
        runner.run(parsers.aclose())


@pytest.fixture
def blob(tmp_path: Path) -> Callable[[bytes], Path]:
    """Puts a content on the disk."""

    def put(content: bytes) -> Path:
        path = tmp_path / f"blob{len(list(tmp_path.iterdir()))}"
        path.write_bytes(content)
        return path

    return put
