"""Servers with a kit of the test's own, and the back end behind them."""

from __future__ import annotations

from tests.behaviour.conftest import backend, fake_backend, hosts

__all__ = ["backend", "fake_backend", "hosts"]
