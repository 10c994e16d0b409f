"""Request bodies: whole before they are matched, in memory while they are short."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import pytest

from antiphon.tape.model import BodyFile
from antiphon.tape.proxy.body import HungUp, read_body, read_whole

pytestmark = pytest.mark.anyio


def receiving(*parts: bytes, cut: bool = False) -> Any:
    """ASGI's receive over these parts."""
    messages = [{"type": "http.request", "body": part, "more_body": True} for part in parts]
    if messages and not cut:
        messages[-1]["more_body"] = False
    messages.append({"type": "http.disconnect"})
    source = iter(messages)

    async def receive() -> Any:
        return next(source)

    return receive


@pytest.mark.parametrize("parts", [(b"",), (b"abc",), (b"a", b"b", b"c" * 14), (b"", b"")])
async def test_a_short_body_is_in_memory(parts: tuple[bytes, ...]) -> None:
    """Up to the limit it is bytes, however it came."""
    async with read_body(receiving(*parts), in_memory=16) as body:
        assert body == b"".join(parts)


@pytest.mark.parametrize("parts", [(b"x" * 17,), (b"x" * 16, b"y"), (b"ab" * 700_000, b"c" * 900_000, b"d")])
async def test_a_long_body_is_a_file_with_its_hash(parts: tuple[bytes, ...]) -> None:
    """Beyond the limit it is a file, which is gone after the call."""
    whole = b"".join(parts)
    async with read_body(receiving(*parts), in_memory=16) as body:
        assert isinstance(body, BodyFile)
        assert body.size == len(whole)
        assert body.sha256 == hashlib.sha256(whole).hexdigest()
        assert Path(body.path).read_bytes() == whole  # noqa: ASYNC240 - nothing else runs
    assert not Path(body.path).exists()  # noqa: ASYNC240


@pytest.mark.parametrize("parts", [(), (b"x",), (b"x" * 40, b"y")])
async def test_a_client_that_goes_before_the_end_has_asked_nothing(parts: tuple[bytes, ...]) -> None:
    """Half a request is not matched."""
    with pytest.raises(HungUp):
        async with read_body(receiving(*parts, cut=True), in_memory=16):
            pytest.fail("there is no whole body")


async def test_a_control_body_is_bounded() -> None:
    """What is too long is not read to its end."""
    assert await read_whole(receiving(b"ab", b"c"), 3) == b"abc"
    assert await read_whole(receiving(b"ab", b"cd", cut=True), 3) is None
