"""A server with a tape, before the scripted back end."""

from __future__ import annotations

from tests.server import backend, fake_backend, servers

__all__ = ["backend", "fake_backend", "servers"]
