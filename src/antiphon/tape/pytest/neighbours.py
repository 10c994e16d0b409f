"""Other recorders in the same run: what options both have is read by both, and their tests stay theirs."""

from __future__ import annotations

import importlib.util
import os

import pytest

#: The names under which pytest loads them, the package of each, and what options of ours it brings.
_OTHERS = {
    "recording": (
        "pytest_recording",
        ("--record-mode", "--block-network", "--allowed-hosts", "--disable-recording"),
    ),
    "cassetter": ("cassetter", ("--record-mode",)),
}


def options(manager: pytest.PytestPluginManager) -> frozenset[str]:
    """The options of ours that another recorder brings, or will bring when it is loaded. Nothing of it is imported."""
    autoload = not os.environ.get("PYTEST_DISABLE_PLUGIN_AUTOLOAD")
    found: set[str] = set()
    for name, (package, brought) in _OTHERS.items():
        if manager.is_blocked(name):
            continue
        if manager.has_plugin(name) or (autoload and importlib.util.find_spec(package) is not None):
            found.update(brought)
    return frozenset(found)


def mind_vcr(manager: pytest.PytestPluginManager) -> bool:
    """Whether the marker ``vcr`` is another's to act on."""
    return any(manager.has_plugin(name) for name in (*_OTHERS, "vcr"))


def block(manager: pytest.PytestPluginManager) -> bool:
    """Whether another closes the network to tests that no tape has to do with."""
    return manager.has_plugin("recording")
