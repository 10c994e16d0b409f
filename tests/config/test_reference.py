"""The pages about the settings are made from the structs, and say what is true."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

from antiphon.config import (
    Config,
    EmbeddingModelConfig,
    KitConfig,
    KnowledgeConfig,
    McpConfig,
    McpServerConfig,
    ToolsConfig,
    UpstreamConfig,
    reference,
    tree,
)
from antiphon.config.load import load

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize(
    ("page", "text"), [("docs/configuration.md", reference.markdown()), ("antiphon.example.toml", reference.example())]
)
def test_pages_are_fresh(page: str, text: str) -> None:
    """The committed page is what the structs say now (`make docs` writes it)."""
    assert (ROOT / page).read_text("utf-8") == text


def test_every_setting_is_on_the_page() -> None:
    """Each setting stands there with its variable and a sentence."""
    page = reference.markdown()
    for path, key in tree.settings():
        row = next(line for line in page.splitlines() if f"`{tree.variable(path)}`" in line)
        assert key.takes in row
        assert re.search(r"\| [^|]{10,} \|$", row), row


def test_the_example_is_the_defaults(tmp_path: Path) -> None:
    """As it is, and with every line uncommented that has a default, the example changes nothing."""
    assert load(ROOT / "antiphon.example.toml", {}, {}) == Config()
    lines = (ROOT / "antiphon.example.toml").read_text("utf-8").splitlines()
    opened = "\n".join(re.sub(r"^#(?=\S)", "", line) for line in lines)
    tables = tomllib.loads(opened)
    assert {tree.dotted(path).replace("NAME", "local") for path, _ in tree.settings()} == {
        ".".join(path) for path in _leaves(tables)
    }
    without_default = ("database_url =", "dir =", "faults =")
    kept = [line for line in opened.splitlines() if "env:" not in line and not line.startswith(without_default)]
    shown = "\n".join(kept)
    (tmp_path / "a.toml").write_text(shown.replace('default_upstream = "local"', ""), "utf-8")
    config = load(tmp_path / "a.toml", {}, {})
    server = McpServerConfig(url="http://127.0.0.1:8000/mcp")
    model = EmbeddingModelConfig(document_prefix="search_document: ", query_prefix="search_query: ")
    assert config == Config(
        upstreams={"local": UpstreamConfig(url="http://127.0.0.1:8000/v1")},
        tools=ToolsConfig(mcp=McpConfig(servers={"local": server}), kits={"local": KitConfig(use="my_tools:Weather")}),
        knowledge=KnowledgeConfig(models={"local": model}),
    )


def _leaves(table: dict[str, object], at: tuple[str, ...] = ()) -> list[tuple[str, ...]]:
    out: list[tuple[str, ...]] = []
    for name, value in table.items():
        out += _leaves(value, (*at, name)) if isinstance(value, dict) and value else [(*at, name)]
    return out
