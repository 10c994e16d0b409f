"""``show`` and ``diff``: one recording to read, and two beside each other."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import click

from antiphon.cli.tape.common import Recording, common, find, one_line, open_tape, say_json

if TYPE_CHECKING:
    from antiphon.tape.miss import Difference
    from antiphon.tape.model import HttpResponse, Request, Response

#: Reads of a stream that are shown without ``--all``.
_SHOWN = 12


@click.command()
@common
@click.argument("recording")
@click.option("--all", "everything", is_flag=True, help="Every read of a stream.")
def show(directory: str, as_json: bool, recording: str, everything: bool) -> None:
    """Show one recording, named by its path, file name or key: request, answer, usage, and the reads of its stream."""
    found = find(open_tape(directory), recording)
    if as_json:
        say_json(_plain(found))
        return
    entry, exchange = found.entry, found.exchange
    click.secho(entry.path, bold=True)
    scope = entry.scope or "(shared)"
    click.echo(f"scope {scope}, {entry.boundary}, provider {entry.provider or '-'}, variant {entry.variant}")
    click.echo(f"key {entry.key}")
    click.echo("")
    for line in _request(exchange.request):
        click.echo(line)
    click.echo("")
    for line in _response(exchange.response, None if everything else _SHOWN):
        click.echo(line)
    if exchange.usage is not None:
        click.echo(f"\nusage: {exchange.usage.input} tokens in, {exchange.usage.output} out")


def _plain(recording: Recording) -> dict[str, Any]:
    import msgspec

    from antiphon.tape.document import say
    from antiphon.tape.model import HttpResponse

    exchange = recording.exchange
    value: dict[str, Any] = msgspec.to_builtins(msgspec.structs.replace(exchange, response=None))
    response = exchange.response
    value["response"] = msgspec.to_builtins(response, builtin_types=(bytes,))
    if isinstance(response, HttpResponse):
        value["response"]["reads"] = [read.decode("utf-8", "backslashreplace") for read in response.reads]
    return {"path": recording.path, "key": recording.entry.key, "say": say(response), **value}


def _request(request: Request) -> Iterator[str]:
    from antiphon.tape.model import HttpRequest, JsonBody

    if not isinstance(request, HttpRequest):
        yield click.style(f"{request.provider} {request.tool}", bold=True)
        yield _pretty(request.arguments)
        return
    query = "&".join(f"{name}={value}" for name, value in request.query)
    yield click.style(f"{request.method} {request.path}{'?' + query if query else ''}", bold=True)
    yield from (f"{name}: {value}" for name, value in request.headers)
    body = request.body
    if isinstance(body, JsonBody) and isinstance(body.value, dict):
        yield from _chat(body.value)
    elif body is not None:
        import msgspec

        yield _pretty(msgspec.to_builtins(body))


def _chat(body: dict[str, Any]) -> Iterator[str]:
    """Parameters on one line, then what was said, each message under its role."""
    said = body.get("messages", body.get("input"))
    talk = isinstance(said, list) and all(isinstance(message, dict) for message in said)
    rest = {k: v for k, v in body.items() if k not in (("messages", "input", "tools") if talk else ("tools",))}
    yield _pretty(rest)
    tools = body.get("tools")
    if isinstance(tools, list) and tools:
        names = [tool.get("function", tool) for tool in tools if isinstance(tool, dict)]
        yield f"tools: {', '.join(str(each.get('name', each.get('type', '?'))) for each in names)}"
    for message in said if isinstance(said, list) and talk else ():
        role = str(message.get("role", message.get("type", "?")))
        more = {k: v for k, v in message.items() if k not in ("role", "content")}
        content = message.get("content")
        text = content if isinstance(content, str) else "" if content is None else _pretty(content)
        yield f"{click.style(role, fg='cyan')}: {text}{'  ' + json.dumps(more, ensure_ascii=False) if more else ''}"


def _response(response: Response, most: int | None) -> Iterator[str]:
    from antiphon.tape.document import say
    from antiphon.tape.model import ToolResponse

    if isinstance(response, ToolResponse):
        if response.error is not None:
            yield click.style(f"{response.error.type}: {response.error.message}", fg="red")
        else:
            yield _pretty(response.result)
        return
    good = response.status < 400 and response.end == "complete"
    ending = "" if response.end == "complete" else f", ended: {response.end} {response.error}".rstrip()
    yield click.style(f"{response.status}{ending}", fg="green" if good else "red", bold=True)
    yield from (f"{name}: {value}" for name, value in response.headers)
    said = say(response)
    if said:
        yield f"{click.style('say', fg='cyan')}: {said}"
    yield from _reads(response, most)


def _reads(response: HttpResponse, most: int | None) -> Iterator[str]:
    if len(response.reads) == 1 and not response.content.startswith((b"data:", b"event:")):
        try:
            yield _pretty(json.loads(response.content))
        except ValueError:
            yield response.content[:2000].decode("utf-8", "backslashreplace")
        return
    reads = response.reads if most is None else response.reads[:most]
    yield f"{len(response.reads)} reads, {len(response.content)} bytes:"
    for position, read in enumerate(reads):
        gap = f"{response.gaps[position]:>6} ms" if response.gaps else ""
        yield f"{position + 1:>5}{gap}  {one_line(read.decode('utf-8', 'backslashreplace'), 100)}"
    if len(reads) < len(response.reads):
        yield f"      ... {len(response.reads) - len(reads)} more (--all)"


@click.command()
@common
@click.argument("a")
@click.argument("b")
def diff(directory: str, as_json: bool, a: str, b: str) -> None:
    """Show what differs between two recordings, word by word. Exits 1 when something does."""
    from antiphon.tape.miss.differ import differences

    tape = open_tape(directory)
    old, new = find(tape, a), find(tape, b)
    found = {name: differences(_part(old, name), _part(new, name)) for name in ("request", "response")}
    if as_json:
        say_json({"a": old.path, "b": new.path, **found})
    else:
        click.secho(f"--- {old.path}", fg="red")
        click.secho(f"+++ {new.path}", fg="green")
        for name, each in found.items():
            _say_differences(name, each)
        if not any(found.values()):
            click.echo("They are the same, in meaning.")
    sys.exit(1 if any(found.values()) else 0)


def _part(recording: Recording, name: str) -> Any:
    """What of a recording is compared: the whole request; of the answer what it says and how it ended."""
    import msgspec

    from antiphon.tape.document import say
    from antiphon.tape.model import HttpResponse

    exchange = recording.exchange
    if name == "request":
        value = msgspec.to_builtins(exchange.request)
        return (
            {**value, "body": (value.get("body") or {}).get("value", value.get("body"))} if "body" in value else value
        )
    response = exchange.response
    if not isinstance(response, HttpResponse):
        return msgspec.to_builtins(response)
    return {
        "status": response.status,
        "headers": dict(response.headers),
        "say": say(response),
        "end": response.end,
        "usage": msgspec.to_builtins(exchange.usage),
    }


def _say_differences(name: str, found: Sequence[Difference]) -> None:
    for one in found:
        places = [(w.before, w.recorded, w.asked, w.after) for w in one.words] or [("", one.recorded, one.asked, "")]
        for before, was, now, after in places:
            old = click.style(f"[-{was}-]", fg="red") if was else ""
            new = click.style(f"{{+{now}+}}", fg="green") if now else ""
            click.echo(f"{name} {click.style(one.pointer, fg='cyan')}: {before}{old}{new}{after}")


def _pretty(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 100 else json.dumps(value, ensure_ascii=False, indent=1)
