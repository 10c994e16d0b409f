"""What every test shares."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, settings

settings.register_profile("antiphon", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("antiphon")


def pytest_addoption(parser: pytest.Parser) -> None:
    """``--update-transcripts`` writes the golden transcripts anew, to be read in the diff."""
    parser.addoption("--update-transcripts", action="store_true", help="rewrite tests/transcripts/*/events.jsonl")


@pytest.fixture
def anyio_backend() -> str:
    """The server is asyncio only, and so are its tests."""
    return "asyncio"
