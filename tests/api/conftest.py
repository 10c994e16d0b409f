"""Fixtures of the API tests: a real server, a real client, a scripted back end."""

from __future__ import annotations

from tests.server import async_client, backend, client, fake_backend, server, servers

__all__ = ["async_client", "backend", "client", "fake_backend", "server", "servers"]
