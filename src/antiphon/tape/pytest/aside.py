"""Whether another recorder owns the options that we share with it. Then this plugin steps aside, and says so."""

from __future__ import annotations

import importlib.util
import os

import pytest

#: Packages with the same options, and the name under which pytest loads each.
_OTHERS = {"pytest_recording": ("recording", "pytest-recording"), "cassetter": ("cassetter", "cassetter")}


def owner(manager: pytest.PytestPluginManager) -> str | None:
    """The other recorder that is loaded, or will be; None when there is none. Nothing of it is imported."""
    autoload = not os.environ.get("PYTEST_DISABLE_PLUGIN_AUTOLOAD")
    for package, (plugin, shown) in _OTHERS.items():
        if manager.is_blocked(plugin):
            continue
        if manager.has_plugin(plugin) or (autoload and importlib.util.find_spec(package) is not None):
            return shown
    return None


def sentence(other: str) -> str:
    """The line that says so."""
    plugin = next((name for name, shown in _OTHERS.values() if shown == other), other)
    return (
        f"antiphon: recordings are off, because {other} is installed and has the same options "
        f"(use `-p no:{plugin}`, or uninstall it)"
    )
