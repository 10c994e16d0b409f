"""A small ASGI server that knows nothing of ours: sockets, HTTP/1, ``await send``, and no more."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

from tests.upstreams import PATIENCE


class PlainServer:
    """``with PlainServer(app) as server``: it serves at ``server.root``, one request a connection."""

    def __init__(self, app: Any) -> None:
        self.root = ""
        self._app = app
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._tasks: set[asyncio.Task[None]] = set()

    def __enter__(self) -> PlainServer:
        self._thread.start()
        asyncio.run_coroutine_threadsafe(self._start(), self._loop).result(PATIENCE)
        return self

    def __exit__(self, *_: object) -> None:
        asyncio.run_coroutine_threadsafe(self._stop(), self._loop).result(PATIENCE)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(PATIENCE)
        self._loop.close()

    async def _start(self) -> None:
        self._life: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self._said: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self._lifespan = asyncio.create_task(self._app({"type": "lifespan"}, self._life.get, self._said.put))
        await self._life.put({"type": "lifespan.startup"})
        assert (await self._said.get())["type"] == "lifespan.startup.complete"
        self._server = await asyncio.start_server(self._connected, "127.0.0.1", 0)
        self.root = f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"

    async def _stop(self) -> None:
        self._server.close()
        await self._life.put({"type": "lifespan.shutdown"})
        assert (await self._said.get())["type"] == "lifespan.shutdown.complete"
        await self._lifespan
        await asyncio.gather(*self._tasks)

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        try:
            await self._exchange(reader, writer)
        finally:
            self._tasks.discard(task)
            writer.close()

    async def _exchange(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head, *lines = (await reader.readuntil(b"\r\n\r\n")).decode().strip().split("\r\n")
        headers = [
            (name.lower().encode(), value.strip().encode()) for name, _, value in (x.partition(":") for x in lines)
        ]
        method, target, _ = head.split(" ")
        body = await reader.readexactly(int(dict(headers).get(b"content-length", b"0")))
        path, _, query = target.partition("?")
        scope = {
            "type": "http",
            "http_version": "1.1",
            "method": method,
            "path": path,
            "raw_path": path.encode(),
            "query_string": query.encode(),
            "root_path": "",
            "headers": headers,
        }
        messages = [{"type": "http.request", "body": body, "more_body": False}]

        async def receive() -> dict[str, Any]:
            if messages:
                return messages.pop()
            await reader.read()
            return {"type": "http.disconnect"}

        async def send(message: dict[str, Any]) -> None:
            if message["type"] == "http.response.start":
                writer.write(f"HTTP/1.1 {message['status']} -\r\nconnection: close\r\n".encode())
                writer.writelines(name + b": " + value + b"\r\n" for name, value in message["headers"])
                writer.write(b"\r\n")
            else:
                writer.write(message["body"])
            await writer.drain()

        try:
            await self._app(scope, receive, send)
        except ConnectionError:
            pass  # the client has gone
