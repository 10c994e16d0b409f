"""The table of endpoints that stands before the router finds what the router would."""

from __future__ import annotations

from pathlib import Path

import pytest
from starlette.routing import Match, Route

from antiphon.app import create_app
from antiphon.config import Config, StorageConfig
from antiphon.http.middleware import exact

pytestmark = pytest.mark.anyio


async def test_every_path_without_parameters(tmp_path: Path) -> None:
    """Each is in the table, under every method of its own, and leads where the router's first full match leads."""
    app = create_app(Config(storage=StorageConfig(data_dir=str(tmp_path)), discover=False), {})
    await app.open()
    try:
        routes = [route for route in app._routes.routes if isinstance(route, Route)]
        plain = {(method, one.path) for one in routes if "{" not in one.path for method in one.methods or ()}
        assert plain == set(app._exact)
        for (method, path), endpoint in exact(routes).items():
            scope = {"type": "http", "method": method, "path": path}
            assert endpoint is next(one.app for one in routes if one.matches(scope)[0] is Match.FULL)
    finally:
        await app.close()
