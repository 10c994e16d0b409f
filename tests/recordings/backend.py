"""A back end that answers from recordings, over a real socket, and explains itself when it has none that fits."""

from __future__ import annotations

import difflib
import json
import threading
from collections.abc import Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from antiphon.tape.canon.chat import canonical, canonical_key
from tests.recordings.tape import Json, Recording

#: The header that says to which conversation a request belongs.
SCOPE = "x-recording-scope"


class RecordedBackend:
    """``with RecordedBackend(recordings) as backend``: serves them at ``backend.url``.

    ``served`` is what it answered with, in order.
    """

    def __init__(self, recordings: Sequence[Recording]) -> None:
        self._all = list(recordings)
        self._by_key = {(one.scope, one.key): one for one in recordings}
        self.served: list[Recording] = []
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}/v1"

    def __enter__(self) -> RecordedBackend:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def find(self, scope: str, request: Json) -> Recording | None:
        """The recording of this request in this conversation."""
        return self._by_key.get((scope, canonical_key(request)))

    def difference(self, scope: str, request: Json) -> str:
        """How the request differs from the nearest recording, line by line."""
        asked = _lines(request)
        near = [one for one in self._all if one.scope == scope] or self._all
        compared = ((difflib.SequenceMatcher(None, _lines(one.request), asked).ratio(), one) for one in near)
        likeness, nearest = max(compared, key=lambda pair: pair[0], default=(0.0, None))
        if nearest is None:
            return "there are no recordings"
        lines = difflib.unified_diff(_lines(nearest.request), asked, nearest.name, "asked", lineterm="", n=1)
        return f"no recording fits in scope {scope!r}; the nearest ({likeness:.0%}) differs:\n" + "\n".join(lines)


def _lines(request: Json) -> list[str]:
    return json.dumps(canonical(request), indent=1, sort_keys=True, ensure_ascii=False).splitlines()


def _handler(backend: RecordedBackend) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def log_message(self, *_: object) -> None:
            """A test says what went wrong by itself."""

        def do_POST(self) -> None:
            request = json.loads(self.rfile.read(int(self.headers["content-length"])))
            scope = self.headers.get(SCOPE, "")
            if self.path.replace("/v1/v1/", "/v1/") != "/v1/chat/completions":
                self._json(404, {"error": {"message": f"nothing is recorded at {self.path}"}})
                return
            found = backend.find(scope, request)
            if found is None:
                self._json(500, {"error": {"message": backend.difference(scope, request), "code": "not_recorded"}})
                return
            backend.served.append(found)
            if isinstance(found.answer, dict):
                self._json(200, found.answer)
            else:
                self._stream(found.answer)

        def _json(self, status: int, body: Json) -> None:
            content = json.dumps(body).encode()
            self.send_response(status)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def _stream(self, chunks: Sequence[Json]) -> None:
            self.send_response(200)
            self.send_header("content-type", "text/event-stream")
            self.send_header("transfer-encoding", "chunked")
            self.end_headers()
            for data in (*(json.dumps(chunk).encode() for chunk in chunks), b"[DONE]"):
                event = b"data: " + data + b"\n\n"
                self.wfile.write(b"%x\r\n%b\r\n" % (len(event), event))
            self.wfile.write(b"0\r\n\r\n")

    return Handler
