"""A back end that breaks off in the middle of an answer, when it is told to: by a reset, or by closing."""

from __future__ import annotations

import contextlib
import json
import socket
import struct
import threading
from collections.abc import Iterator

from tests.upstreams import PATIENCE, delta

_HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"


class Breaking:
    """``url`` is its base; it breaks off once ``go`` is set."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.go = threading.Event()


@contextlib.contextmanager
def breaking(*, reset: bool) -> Iterator[Breaking]:
    """Answers one request with one piece of text, and then breaks off."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        found = Breaking(f"http://127.0.0.1:{listening.getsockname()[1]}/v1")
        listening.settimeout(PATIENCE)
        thread = threading.Thread(target=_serve, args=(listening, found, reset), daemon=True)
        thread.start()
        yield found
        thread.join(PATIENCE)


def _serve(listening: socket.socket, found: Breaking, reset: bool) -> None:
    connection, _ = listening.accept()
    with connection:
        connection.settimeout(PATIENCE)
        asked = b""
        while not asked.endswith(b"}"):
            asked += connection.recv(65536)
        event = b"data: " + json.dumps(delta(content="so far")).encode() + b"\n\n"
        connection.sendall(_HEAD + b"%x\r\n%b\r\n" % (len(event), event))
        found.go.wait(PATIENCE)
        if reset:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
