"""The server as this command needs it: files and vector stores, over HTTP."""

from __future__ import annotations

import asyncio
import hashlib
import mimetypes
from collections.abc import AsyncIterator
from types import TracebackType
from typing import Any
from urllib.parse import quote, urlencode

import msgspec

from antiphon.config.mask import masked_url
from antiphon.upstream.door import ExchangeFailed, Request, read_all
from antiphon.upstream.network import Network

Json = dict[str, Any]

_MAX_REPLY = 64 * 1024 * 1024
#: How often a file that is being read is looked at. Seconds.
_LOOK_SECONDS = (0.05, 0.1, 0.2, 0.5, 1.0)
_PAGE = 100


class NoServer(Exception):
    """Nobody answers there, or nobody who knows vector stores."""


class Refused(Exception):
    """What the server says is wrong."""


class Server:
    """``async with Server(url) as server``. Every method raises ``NoServer`` or ``Refused``."""

    def __init__(self, url: str) -> None:
        url = url.rstrip("/")
        self._url = url if url.endswith("/v1") else f"{url}/v1"
        self._network = Network()

    async def __aenter__(self) -> Server:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, failure: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._network.aclose()

    async def store(self, name: str) -> Json:
        """The newest vector store of this name, or the one with this id; a new one where there is none."""
        async for store in self._each("/vector_stores"):
            if name in (store["id"], store["name"]):
                return store
        return await self._ask("POST", "/vector_stores", {"name": name})

    async def files(self, store_id: str) -> AsyncIterator[Json]:
        """The files of a store."""
        async for file in self._each(f"/vector_stores/{quote(store_id)}/files"):
            yield file

    async def upload(self, name: str, content: bytes) -> str:
        """A new file; its id."""
        edge = f"antiphon-{hashlib.sha256(content).hexdigest()[:40]}"
        shown = name.replace('"', "%22").replace("\r", "%0D").replace("\n", "%0A")
        kind = mimetypes.guess_type(name)[0] or "application/octet-stream"
        part = f"--{edge}\r\nContent-Disposition: form-data; name="
        head = f'{part}"purpose"\r\n\r\nassistants\r\n{part}"file"; filename="{shown}"\r\nContent-Type: {kind}\r\n\r\n'
        body = head.encode("utf-8", "replace") + content + f"\r\n--{edge}--\r\n".encode()
        made = await self._send("POST", "/files", body, f"multipart/form-data; boundary={edge}")
        return str(made["id"])

    async def attach(self, store_id: str, file_id: str, attributes: Json) -> Json:
        """Puts a file into a store, and waits until it is in it, or has failed."""
        place = f"/vector_stores/{quote(store_id)}/files"
        file = await self._ask("POST", place, {"file_id": file_id, "attributes": attributes})
        looks = 0
        while file["status"] == "in_progress":
            await asyncio.sleep(_LOOK_SECONDS[min(looks, len(_LOOK_SECONDS) - 1)])
            looks += 1
            file = await self._ask("GET", f"{place}/{quote(file_id)}")
        return file

    async def remove(self, store_id: str, file_id: str) -> None:
        """Takes a file out of a store, and deletes it."""
        for path in (f"/vector_stores/{quote(store_id)}/files/{quote(file_id)}", f"/files/{quote(file_id)}"):
            try:
                await self._ask("DELETE", path)
            except Missing:
                pass  # somebody else was here, or we were, the last time

    async def _each(self, path: str) -> AsyncIterator[Json]:
        asked: Json = {"limit": _PAGE}
        while True:
            page = await self._ask("GET", f"{path}?{urlencode(asked)}")
            for one in page["data"]:
                yield one
            if not page["has_more"]:
                return
            asked["after"] = page["last_id"]

    async def _ask(self, method: str, path: str, body: Json | None = None) -> Json:
        return await self._send(method, path, b"" if body is None else msgspec.json.encode(body), "application/json")

    async def _send(self, method: str, path: str, body: bytes, kind: str) -> Json:
        headers = (("Content-Type", kind),) if body else ()
        request = Request(method, self._url + path, headers, body, repeatable=method == "GET")
        try:
            reply = await self._network.send(request)
            data = await read_all(reply, _MAX_REPLY)
        except ExchangeFailed as failure:
            raise NoServer(f"No server answers at {masked_url(self._url)}: {failure.message}") from failure
        try:
            said = msgspec.json.decode(data)
        except msgspec.DecodeError:
            said = None
        if not isinstance(said, dict):
            raise NoServer(f"What answers at {masked_url(self._url)} is no Antiphon (status {reply.status}).")
        if reply.status >= 400:
            error = said.get("error")
            message = error.get("message") if isinstance(error, dict) else None
            raise (Missing if reply.status == 404 else Refused)(str(message or f"status {reply.status}"))
        return said


class Missing(Refused):
    """There is no such thing."""
