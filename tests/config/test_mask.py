"""No secret of a configuration is ever shown."""

from __future__ import annotations

import json

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from antiphon.config import Config, StorageConfig, UpstreamConfig
from antiphon.config.mask import STARS, masked, masked_url

PASSWORD = st.text("abcXYZ019%/?#:&=+!@ ", min_size=1).map(lambda text: "hidden" + text)


@given(PASSWORD, PASSWORD)
def test_no_key_and_no_password_shows(key: str, password: str) -> None:
    """Keys, database passwords and upstream users are stars, however badly they are escaped."""
    config = Config(
        storage=StorageConfig(database_url=f"postgresql://antiphon:{password}@db.example:5432/antiphon"),
        upstreams={
            "one": UpstreamConfig(url="http://one.example/v1", key=key),
            "two": UpstreamConfig(url=f"http://{password}@two.example/v1"),
            "three": UpstreamConfig(url=f"http://user:{password}@three.example/v1"),
        },
    )
    shown = json.dumps(masked(config))
    assert "hidden" not in shown
    assert "db.example:5432/antiphon" in shown
    assert "http://one.example/v1" in shown


def test_what_is_no_secret_stays() -> None:
    """Everything else is shown as it is, with the same keys as the configuration."""
    config = Config(upstreams={"a": UpstreamConfig(url="http://h/v1", models=("x",))})
    assert msgspec.convert(masked(config), Config) == config


def test_urls() -> None:
    """User and password go, host and path stay; a database keeps its user."""
    assert masked_url("sqlite:///data/a.db", hide_user=False) == "sqlite:///data/a.db"
    assert masked_url("postgresql://u:p@h/d", hide_user=False) == f"postgresql://u:{STARS}@h/d"
    assert masked_url("postgresql://u@h/d", hide_user=False) == "postgresql://u@h/d"
    assert masked_url("postgresql://h/d?user=u&password=p&sslmode=on", hide_user=False) == (
        f"postgresql://h/d?user=u&password={STARS}&sslmode=on"
    )
    assert masked_url("http://h/v1?api_key=abc&v=1") == f"http://h/v1?api_key={STARS}&v=1"
