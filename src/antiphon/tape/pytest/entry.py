"""What pytest loads by the name ``antiphon``: the plugin, unless ``-p`` has named its module already.

pytest refuses one module under two names, and both names are in use.
"""

from __future__ import annotations

import pytest


def pytest_addoption(pluginmanager: pytest.PytestPluginManager) -> None:
    """The earliest that pytest calls a plugin."""
    pluginmanager.import_plugin("antiphon.tape.pytest.plugin")
