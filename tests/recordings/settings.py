"""Every recorded run under every setting of ``tools.prompts``, and how many of them happen again."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Iterator, Sequence
from typing import Any, get_args

from openai.types.responses import Response

from antiphon.config import Config, StorageConfig, TapeConfig, ToolsConfig, UpstreamConfig, WebSearchConfig
from antiphon.tools.prompts import Style
from antiphon.tools.web_search import WebSearchKit
from antiphon.upstream.door import Door
from antiphon.upstream.fetch import Fetcher
from tests.recordings.backend import SCOPE, RecordedBackend
from tests.recordings.conversations import strung
from tests.recordings.loops import Loop, Tools, asked, missed
from tests.recordings.tape import foreign
from tests.server import Server
from tests.shared import SHARED

STYLES: tuple[Style, ...] = get_args(Style)


def loops() -> list[Loop]:
    """The recorded runs that stand beside the checkout, as loops; those with file search are left out."""
    folder = SHARED / "recordings"
    paths = [*sorted(folder.glob("seeds/*.json")), *sorted(folder.glob("llama-stack/runs/*/*.json"))]
    return [loop for loop in map(Loop, strung(foreign(paths))) if loop.kind != "file_search"]


class Stage:
    """Servers in front of the recordings, one for each setting, and one more for runs without a key."""

    def __init__(self, backend: RecordedBackend, tools: Tools, stack: contextlib.ExitStack, tape: TapeConfig) -> None:
        self.backend = backend
        self.tools = tools
        self._tape = tape
        self._stack = stack
        self._servers: dict[tuple[Style, bool], Server] = {}

    def missed(self, loop: Loop, style: Style) -> str:
        """Empty when this run happens again under this setting; else what was different."""
        return missed(self._server(style, loop.keyless), self.backend, self.tools, loop)

    def run(self, loop: Loop, style: Style) -> Response:
        """The response of this run."""
        self.tools.now = loop
        self.tools.called.clear()
        response: Response = self._server(style, loop.keyless).client.responses.create(**asked(self.tools, loop))
        return response

    def stream(self, loop: Loop, style: Style, body: Any = None) -> list[dict[str, Any]]:
        """Its events, on a tape of its own."""
        self.tools.now = loop
        body = dict(body or asked(self.tools, loop))
        headers = body.pop("extra_headers")
        server = self._server(style, loop.keyless)
        return server.read_events(
            "POST", f"/s/{loop.name}/v1/responses", json={**body, "stream": True}, headers=headers
        )

    def _server(self, style: Style, keyless: bool) -> Server:
        if (style, keyless) not in self._servers:
            self._servers[style, keyless] = self._started(style, keyless)
        return self._servers[style, keyless]

    def _started(self, style: Style, keyless: bool) -> Server:
        folder = self._stack.enter_context(tempfile.TemporaryDirectory())
        upstream = UpstreamConfig(url=self.backend.url, forward_headers=(SCOPE,))
        search = WebSearchConfig(
            provider="brave" if keyless else "tavily", key=None if keyless else "a-key", url=self.tools.url
        )
        config = Config(
            upstreams={"recorded": upstream},
            discover=False,
            storage=StorageConfig(data_dir=folder),
            tools=ToolsConfig(prompts=style, web_search=search),
            tape=self._tape,
        )
        # Where a tape answers, the search needs no key; here the recordings answer.
        door = Door({})
        kits = [WebSearchKit(config.tools, {}, door, Fetcher(door, allow_private=False), keyless=True)]
        server = Server(config, kits=kits if keyless else ())
        server.start()
        self._stack.callback(server.stop)
        return server


@contextlib.contextmanager
def staged(runs: Sequence[Loop], tape: TapeConfig = TapeConfig()) -> Iterator[Stage]:  # noqa: B008 - frozen
    """A stage for these runs, whose servers have this tape."""
    with contextlib.ExitStack() as stack:
        backend = stack.enter_context(RecordedBackend([turn for loop in runs for turn in loop.scoped()]))
        yield Stage(backend, stack.enter_context(Tools()), stack, tape)
