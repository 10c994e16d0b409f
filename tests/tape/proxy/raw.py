"""An upstream on plain sockets, a thread a connection: any body, any media type, and endings that HTTP servers hide."""

from __future__ import annotations

import contextlib
import socket
import struct
import threading
from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple

from tests.upstreams import PATIENCE, Gate

#: A socket that takes nothing for so long has a reader that does not read. Seconds.
_STALLED = 1.0


class Request(NamedTuple):
    """What it was asked."""

    head: str
    body: bytes

    @property
    def line(self) -> str:
        """Method, path and version."""
        return self.head.partition("\r\n")[0]

    def header(self, name: str) -> str | None:
        """The value of a header."""
        for line in self.head.split("\r\n")[1:]:
            key, _, value = line.partition(":")
            if key.lower() == name:
                return value.strip()
        return None


#: Media type, the reads of the body (a Gate waits), and how it ends: ``end``, ``close`` or ``reset``.
Answer = tuple[str, Iterable[Any], str]


class RawUpstream:
    """``with RawUpstream(answer) as upstream``: each connection is asked and answered once."""

    def __init__(self, answer: Callable[[Request], Answer], *, headers: Mapping[str, str] | None = None) -> None:
        self._answer = answer
        self._headers = "".join(f"{k}: {v}\r\n" for k, v in (headers or {}).items())
        self._sock = socket.create_server(("127.0.0.1", 0))
        self._threads: list[threading.Thread] = []
        self.requests: list[Request] = []
        self.url = f"http://127.0.0.1:{self._sock.getsockname()[1]}/v1"

    def __enter__(self) -> RawUpstream:
        self._accepting = threading.Thread(target=self._accept, daemon=True)
        self._accepting.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._sock.shutdown(socket.SHUT_RDWR)
        self._sock.close()
        for thread in [self._accepting, *self._threads]:
            thread.join(PATIENCE)

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._sock.accept()
            except OSError:
                return
            thread = threading.Thread(target=self._serve, args=(connection,), daemon=True)
            self._threads.append(thread)
            thread.start()

    def _serve(self, connection: socket.socket) -> None:
        with connection, contextlib.suppress(ConnectionError):
            request = _read(connection)
            if request is None:
                return
            self.requests.append(request)
            kind, reads, how = self._answer(request)
            chunked = "Transfer-Encoding: chunked\r\nConnection: close\r\n"
            connection.sendall(f"HTTP/1.1 200 OK\r\nContent-Type: {kind}\r\n{self._headers}{chunked}\r\n".encode())
            if not _send(connection, reads):
                return
            if how == "end":
                connection.sendall(b"0\r\n\r\n")
            elif how == "reset":
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def _send(connection: socket.socket, reads: Iterable[Any]) -> bool:
    """Sends the reads as chunks; false when the reader does not take them."""
    stalled = getattr(reads, "stalled", None)
    if stalled is not None:
        connection.settimeout(_STALLED)
    for data in reads:
        if isinstance(data, Gate):
            threading.Event().wait(0)
            data._open.result(PATIENCE)
            continue
        try:
            connection.sendall(b"%x\r\n%b\r\n" % (len(data), data))
        except TimeoutError:
            assert stalled is not None
            stalled.set()
            return False
    return True


def _read(connection: socket.socket) -> Request | None:
    data = b""
    while b"\r\n\r\n" not in data:
        more = connection.recv(65536)
        if not more:
            return None
        data += more
    head, _, body = data.partition(b"\r\n\r\n")
    request = Request(head.decode("latin-1"), b"")
    length = int(request.header("content-length") or 0)
    parts = [body]
    size = len(body)
    while size < length:
        more = connection.recv(1 << 20)
        if not more:
            return None
        parts.append(more)
        size += len(more)
    return Request(request.head, b"".join(parts))
