"""The built-in model ``demo``: a deterministic chat-completions back end inside the process, steered by markers.

It is a transport behind the door for ``demo://`` URLs and speaks real bytes, so that everything above it is exercised
as with any other back end. ``docs/demo-model.md`` describes the markers.
"""

from __future__ import annotations

from antiphon.config import UpstreamConfig
from antiphon.upstream.chat import Upstream
from antiphon.upstream.demo.transport import MODEL, DemoTransport
from antiphon.upstream.door import Transport

URL = "demo://model/v1"


def demo_upstream(door: Transport) -> Upstream:
    """The back end named ``demo``, behind a door that knows the scheme ``demo``."""
    return Upstream("demo", UpstreamConfig(url=URL, models=(MODEL,)), door)


__all__ = ["MODEL", "URL", "DemoTransport", "demo_upstream"]
