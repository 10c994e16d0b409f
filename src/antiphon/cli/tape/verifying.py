"""``verify``: what is recorded, asked once more, and whether the answers still have the same shape."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import click

from antiphon.cli.tape.common import Recording, common, fail, open_tape, recordings, say_json

if TYPE_CHECKING:
    from antiphon.tape.model import Headers, HttpRequest, HttpResponse
    from antiphon.tape.outbound import Outgoing
    from antiphon.tape.proxy.relay import Way


class Unsendable(Exception):
    """A recorded request that cannot be made again, in a sentence."""


@click.command()
@common
@click.option("--upstream", "upstreams", multiple=True, required=True, metavar="NAME=URL", help="Where to ask.")
@click.option("--key", default="env:OPENAI_API_KEY", show_default=True, help="Sent as a bearer; env:NAME reads NAME.")
@click.option("--header", "more", multiple=True, metavar="NAME=VALUE", help="Sent too; the value may be env:NAME.")
@click.option("--restore", is_flag=True, help="Put {{env:NAME}} in requests back; only for recordings you trust.")
@click.option("--scope", help="Only the recordings of this scope.")
@click.option("--model", help="Only those whose model's name holds this.")
def verify(
    directory: str, as_json: bool, upstreams: tuple[str, ...], key: str, more: tuple[str, ...], **only: Any
) -> None:
    """Make the recorded calls once more, live, and compare the answers in shape: keys, types, endings, tools called.

    It costs what the calls cost. Exits 1 when an answer has drifted or a call failed. Words may differ, always.
    """
    import asyncio

    from antiphon.cli.tape.proxying import bases

    tape = open_tape(directory)
    found = list(recordings(tape, scope=only["scope"], model=only["model"]))
    results = asyncio.run(_verify(found, bases(upstreams), _headers(key, more), restore=only["restore"]))
    tape.close()
    if as_json:
        say_json(results)
    else:
        _say(results)
    sys.exit(1 if any(each["drift"] for each in results) else 0)


async def _verify(
    found: Sequence[Recording], bases: Mapping[str, str], headers: Headers, *, restore: bool
) -> list[dict[str, Any]]:
    from antiphon.cli.tape.way import network_way

    way = network_way()
    try:
        return [await _one(recording, bases, headers, way, restore=restore) for recording in found]
    finally:
        await way.transport.aclose()


async def _one(
    recording: Recording, bases: Mapping[str, str], headers: Headers, way: Way, *, restore: bool
) -> dict[str, Any]:
    import msgspec

    from antiphon.tape.model import HttpRequest
    from antiphon.tape.secrets import restore as restored
    from antiphon.tape.shape import compare

    exchange = recording.exchange
    result: dict[str, Any] = {"path": recording.path, "drift": [], "skipped": None}
    if not isinstance(exchange.request, HttpRequest):
        return {**result, "skipped": "a tool is not called again from here"}
    try:
        outgoing = rebuild(exchange.request, _base(exchange.provider, bases), headers)
    except Unsendable as why:
        return {**result, "skipped": str(why)}
    if restore and isinstance(outgoing.body, bytes):
        outgoing = msgspec.structs.replace(outgoing, body=restored(outgoing.body, os.environ))
    live = await _ask(outgoing, way)
    return {**result, "drift": [live] if isinstance(live, str) else compare(exchange.response, live)}


async def _ask(outgoing: Outgoing, way: Way) -> HttpResponse | str:
    """The live answer, or why there is none."""
    from antiphon.tape.model import HttpResponse
    from antiphon.tape.proxy.relay import ending

    try:
        reply = await way.transport.send(outgoing)
    except way.failures as failure:
        return f"the call failed: {getattr(failure, 'message', failure)}"
    reads, end, error = [], "complete", ""
    try:
        async for data in reply.reads:
            reads.append(data)  # noqa: PERF401 - what came before a break counts
    except way.failures as failure:
        end, error = ending(failure)
    finally:
        await reply.aclose()
    return HttpResponse(reply.status, tuple(reply.headers), tuple(reads), end, error)  # type: ignore[arg-type]


def rebuild(request: HttpRequest, base: str, headers: Headers) -> Outgoing:
    """A recorded request as one that can be sent below ``base``. Raises ``Unsendable``."""
    from urllib.parse import urlencode

    from antiphon.tape.outbound import Outgoing
    from antiphon.tape.proxy.places import join

    data, kind = _body(request)
    last = base.rstrip("/").rpartition("/")[2]
    # The path as it was asked may have stood below another base: what follows the version is what counts.
    _, found, rest = request.path.rpartition(f"/{last}/")
    query = f"?{urlencode(request.query)}" if request.query else ""
    own = [*request.headers, *((("content-type", kind),) if kind else ()), ("accept-encoding", "identity")]
    return Outgoing(request.method, join(base, f"/{rest}" if found else request.path) + query, (*own, *headers), data)


def _body(request: HttpRequest) -> tuple[bytes, str]:
    import msgspec

    from antiphon.tape.model import BinaryBody, FormBody, JsonBody

    body = request.body
    if body is None:
        return b"", ""
    if isinstance(body, JsonBody):
        return msgspec.json.encode(body.value), "application/json"
    if isinstance(body, BinaryBody):
        raise Unsendable("of its body only the hash is recorded")
    if isinstance(body, FormBody):
        return _form(body)
    return body.text.encode(), body.type


def _form(body: Any) -> tuple[bytes, str]:
    from antiphon.tape.model import BinaryBody

    mark = "antiphon-verify-7f1c0a52"
    out = b""
    for part in body.parts:
        if isinstance(part.body, BinaryBody):
            raise Unsendable("of a file in its form only the hash is recorded")
        name = f'; filename="{part.filename}"' if part.filename is not None else ""
        kind = f"content-type: {part.body.type}\r\n" if part.body.type else ""
        out += f'--{mark}\r\ncontent-disposition: form-data; name="{part.name}"{name}\r\n{kind}\r\n'.encode()
        out += part.body.text.encode() + b"\r\n"
    return out + f"--{mark}--\r\n".encode(), f"multipart/form-data; boundary={mark}"


def _headers(key: str, more: Sequence[str]) -> Headers:
    found = [("authorization", f"Bearer {value}")] if (value := _value(key)) else []
    for each in more:
        name, equals, value = each.partition("=")
        if not equals:
            fail(f"--header {each}: write NAME=VALUE")
        found.append((name.strip().lower(), _value(value)))
    return tuple(found)


def _value(text: str) -> str:
    return os.environ.get(text.removeprefix("env:"), "") if text.startswith("env:") else text


def _base(provider: str, bases: Mapping[str, str]) -> str:
    """Of the upstream that it was recorded from; of the only one."""
    if provider in bases:
        return bases[provider]
    if len(bases) == 1:
        return next(iter(bases.values()))
    raise Unsendable(f"its upstream '{provider}' is not among those given")


def _say(results: Sequence[Mapping[str, Any]]) -> None:
    for each in results:
        for sentence in each["drift"]:
            click.echo(f"{click.style(each['path'], fg='red')}: {sentence}")
        if each["skipped"]:
            click.echo(f"{click.style(each['path'], fg='yellow')}: skipped, {each['skipped']}")
    drifted, skipped = sum(bool(r["drift"]) for r in results), sum(bool(r["skipped"]) for r in results)
    click.echo(f"{len(results) - drifted - skipped} as recorded, {drifted} drifted, {skipped} skipped")
