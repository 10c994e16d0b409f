"""A server in front of recordings."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack

import pytest

from antiphon.config import Config, StorageConfig, UpstreamConfig
from tests.recordings.backend import SCOPE, RecordedBackend
from tests.recordings.tape import Recording
from tests.server import Server

Serve = Callable[[Sequence[Recording]], tuple[Server, RecordedBackend]]


@pytest.fixture(scope="module")
def serve(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serve]:
    """Starts a server whose only back end answers from these recordings; the conversation's name goes on to it."""
    with ExitStack() as stack:

        def start(recordings: Sequence[Recording]) -> tuple[Server, RecordedBackend]:
            backend = stack.enter_context(RecordedBackend(recordings))
            upstream = UpstreamConfig(url=backend.url, forward_headers=(SCOPE,))
            storage = StorageConfig(data_dir=str(tmp_path_factory.mktemp("recorded")))
            server = Server(Config(upstreams={"recorded": upstream}, discover=False, storage=storage))
            server.start()
            stack.callback(server.stop)
            return server, backend

        yield start
