"""Credentials reach the server they are for, and nobody and nothing else."""

from __future__ import annotations

import json
import logging
from typing import Any

import msgspec
import pytest

from antiphon.config import Config, McpConfig, McpServerConfig, ToolsConfig
from antiphon.config.mask import masked
from antiphon.tools.mcp.server import STARS
from antiphon.upstream.door import Request
from tests.tools.mcp.things import things
from tests.tools.mcp.world import Receive, Scope, Send, Watched, answer, program, serving, world

pytestmark = pytest.mark.anyio

TOKEN, HEADER, QUERY, VARIABLE = "hidden-token-1", "hidden-header-2", "hidden-query-3", "hidden-variable-4"
ENTRY: dict[str, Any] = {"authorization": TOKEN, "headers": {"X-Api-Key": HEADER}}


@pytest.mark.parametrize("way", ["http", "older", "sse"])
@pytest.mark.parametrize("refused", [False, True])
async def test_they_are_used_and_nothing_else(way: str, refused: bool, caplog: pytest.LogCaptureFixture) -> None:
    """They are on each request; no event, no outcome, no recording and no log line has them, even echoed."""
    caplog.set_level(logging.DEBUG)
    server = things()
    app = Watched(server.sse_app() if way == "sse" else server.streamable_http_app(), older=way == "older")
    path = "/sse" if way == "sse" else "/mcp"
    async with serving(app) as root, world() as one:
        toolset = one.toolset(f"{root}{path}?api_key={QUERY}", **ENTRY)
        events, tools = await one.opened(toolset)
        if refused:
            app.token = "another"
        made = await one.call(tools["headers"], {})
        said = [events, made.events, made.outcome, one.went, repr(toolset.__dict__), repr(tools["headers"].__dict__)]
        seen = [headers for method, where, headers, _ in app.seen if where == path]
    assert seen
    assert all((one["authorization"], one["x-api-key"]) == (f"Bearer {TOKEN}", HEADER) for one in seen)
    if not refused:
        assert STARS in str(made.shown)
    ours = [
        log for log in caplog.records if not log.name.startswith(("mcp.server", "sse_starlette", "uvicorn", "root"))
    ]
    assert "hidden" not in "".join(map(str, said)) + "".join(log.getMessage() for log in ours)
    assert [log for log in ours if log.name.startswith(("mcp", "httpx2"))] == []


async def test_a_server_that_repeats_them_in_an_error() -> None:
    """Its words are shown without them."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        message = f"bad token {TOKEN} and key {HEADER}"
        body = {"jsonrpc": "2.0", "id": None, "error": {"code": -32001, "message": message}}
        await answer(send, 400, json.dumps(body).encode())

    async with serving(app) as root, world() as one:
        events, _ = await one.opened(one.toolset(root, **ENTRY))
        assert f"bad token {STARS} and key {STARS}" in str(events[-1])
        assert "hidden" not in str(events) + str(one.went)


async def test_a_program_gets_its_variables_and_no_others(monkeypatch: pytest.MonkeyPatch) -> None:
    """The server's own environment stays here; what the configuration says goes, and is not shown either."""
    monkeypatch.setenv("ANTIPHON_KEYS", "not-for-tools")
    config = McpConfig(servers={"things": program(API_TOKEN=VARIABLE, MODE="plain-mode")})
    async with world(config) as one:
        made = await one.call((await one.tools())["variables"], {})
        variables = json.loads(made.shown)
        assert (variables["API_TOKEN"], variables["MODE"]) == (STARS, "plain-mode")
        assert "ANTIPHON_KEYS" not in variables
        assert "hidden" not in str(one.went)


@pytest.mark.parametrize("target", ["http://127.0.0.1:{other}/mcp", "http://localhost:{port}/mcp"])
@pytest.mark.parametrize("status", [302, 307])
async def test_a_redirect_elsewhere_is_not_followed(target: str, status: int) -> None:
    """Not even to the same machine: credentials are for the place that was named."""
    other = Watched(things().streamable_http_app())

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await answer(send, status, b"{}", (b"location", where.encode()))

    async with serving(other) as elsewhere, serving(app) as root, world() as one:
        where = target.format(other=elsewhere.rpartition(":")[2], port=root.rpartition(":")[2])
        _, tools = await one.opened(one.toolset(root + "/mcp", **ENTRY))
        assert tools == {}
        assert other.seen == []


async def test_a_redirect_within_the_server_is_followed() -> None:
    """As for a slash at the end."""
    inner = things().streamable_http_app()
    app = Watched(inner)

    async def outer(scope: Scope, receive: Receive, send: Send) -> None:
        if scope.get("path") == "/mcp/":
            await answer(send, 307, b"", (b"location", b"/mcp"))
        else:
            await app(scope, receive, send)

    async with serving(outer) as root, world() as one:
        tools = await one.tools(root + "/mcp/", **ENTRY)
        assert (await one.call(tools["add"], {"a": 1, "b": 2})).shown == "3"
        assert app.seen[-1][2]["authorization"] == f"Bearer {TOKEN}"


async def test_events_that_lead_elsewhere() -> None:
    """A stream of events may name no other server as the place for messages."""
    other = Watched(things().streamable_http_app())

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            raise RuntimeError("no lifespan")
        if scope["method"] != "GET":
            await answer(send, 404, b"{}")
            return
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/event-stream")]})
        await send({"type": "http.response.body", "body": f"event: endpoint\ndata: {elsewhere}/mcp\n\n".encode()})

    config = McpConfig(connect_seconds=0.5)  # the package waits for another place to be named
    async with serving(other) as elsewhere, serving(app) as root, world(config) as one:
        _, tools = await one.opened(one.toolset(root, **ENTRY))
        assert tools == {}
        assert other.seen == []


def test_the_configuration_shows_none() -> None:
    """Names stay, values go."""
    server = McpServerConfig(command="x", env={"K": VARIABLE}, headers={"H": HEADER}, authorization=TOKEN)
    url = McpServerConfig(url=f"https://{TOKEN}@host/mcp?api_key={QUERY}")
    shown = json.dumps(masked(Config(tools=ToolsConfig(mcp=McpConfig(servers={"a": server, "b": url})))))
    assert "hidden" not in shown
    assert f'"env": {{"K": "{STARS}"}}' in shown
    assert (
        msgspec.json.decode(shown)["tools"]["mcp"]["servers"]["b"]["url"] == f"https://{STARS}@host/mcp?api_key={STARS}"
    )


async def test_what_is_dialled() -> None:
    """A name is looked up once for a connection, and the address that was judged is dialled each time."""
    asked: list[str] = []

    async def resolve(host: str, port: int) -> list[str]:
        asked.append(host)
        return ["127.0.0.1"] if len(asked) == 1 else ["169.254.169.254"]

    async with serving(Watched(things().streamable_http_app())) as root, world(resolve=resolve) as one:
        port = root.rpartition(":")[2]
        requests: list[Request] = []
        send = one.door.send

        async def watched(request: Request) -> Any:
            requests.append(request)
            return await send(request)

        one.door.send = watched  # type: ignore[method-assign]
        tools = await one.tools(f"http://rebinding.example:{port}/mcp", headers={"Origin": root})
        assert tools == {} or (await one.call(tools["add"], {"a": 1, "b": 2})).shown == "3"
        assert asked == ["rebinding.example"]
        assert {request.address for request in requests} == {"127.0.0.1"}
        assert len(requests) > 1
