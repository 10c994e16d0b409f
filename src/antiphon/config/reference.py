"""The settings as pages for people: ``docs/configuration.md`` and ``antiphon.example.toml``, made from the structs.

``python -m antiphon.config.reference`` writes both; a test says when they are stale.
"""

from __future__ import annotations

import ast
import inspect
import json
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec

import antiphon.config
from antiphon.config import Config, load, tree

_HEAD = """\
# Configuration

<!-- Made by `make docs` from src/antiphon/config/__init__.py; change it there. -->

Every setting has a default, and none must be set. A value is taken from the first of these that has one:

1. the command line (`antiphon serve --help` lists its options);
2. the environment: `ANTIPHON_`, then the path of the setting in capitals, its parts joined by two underscores;
3. the file: `--config FILE`, else the file that `ANTIPHON_CONFIG` names, else `antiphon.toml` in the working directory;
4. the default.

`antiphon check` shows the outcome, where each value came from, and what can be reached. A key that does not exist, a
value of the wrong type and an `ANTIPHON_` variable that is no setting stop the start and say what to do.

[`antiphon.example.toml`](../antiphon.example.toml) has every setting at its default.

## Values in the environment

Numbers and text stand as they are; switches are `true` or `false` (also `yes`/`no`, `on`/`off`, `1`/`0`); lists are
`a,b` or JSON; tables are JSON, such as `{"*": 8192}`. An empty value of a setting that may be absent means absent.

In the name of an upstream every character that a variable cannot hold is written `_`: with `[upstreams.my-gpu]` in the
file, `ANTIPHON_UPSTREAMS__MY_GPU__KEY` is its key. A name that the file does not have makes a new upstream, in small
letters.

These variables are no settings, and are read too:

"""

_OTHERS = """\
| `OPENAI_BASE_URL`, `OPENAI_API_KEY` | an upstream, where none is configured |
| `TAVILY_API_KEY`, `BRAVE_API_KEY`, `EXA_API_KEY`, `SERPER_API_KEY`, `SEARXNG_URL` | who searches the web, where \
`tools.web_search` does not say |
"""


def markdown() -> str:
    """The text of ``docs/configuration.md``."""
    rows = "".join(f"| `{name}` | {what} |\n" for name, what in load.OTHER_VARIABLES.items())
    out = [_HEAD, "| Variable | What it is |\n| --- | --- |\n", rows, _OTHERS]
    out += ["\n## Top level\n\n", _rows(Config, ())]
    for path, struct in _tables(Config, ()):
        out += [f"\n## [{tree.dotted(path)}]\n\n", _doc(struct), "\n\n", _rows(struct, path)]
    return "".join(out)


def example() -> str:
    """The text of ``antiphon.example.toml``: every setting at its default, commented out."""
    out = [
        "# Every setting of Antiphon at its default. Copy this file to antiphon.toml and uncomment what you change.\n"
    ]
    out += _lines(Config)
    tables = sorted(_tables(Config, ()), key=lambda table: tree.ANY in table[0])  # those that users name come last
    for path, struct in tables:
        out += ["\n", _comment(_doc(struct))]
        if tree.ANY in path:
            out += ["# Several may stand side by side.\n", f"#[{tree.dotted(path)}]\n".replace(tree.ANY, "local")]
        else:
            out.append(f"[{tree.dotted(path)}]\n")
        out += _lines(struct)
    return "".join(out)


def _tables(struct: type[msgspec.Struct], at: tree.Path) -> Iterator[tuple[tree.Path, type[msgspec.Struct]]]:
    """Every table below a struct, an outer one before those in it; one that users name stands there as ``NAME``."""
    for name, key in tree.keys(struct).items():
        if (inner := tree.table(key) or tree.named(key)) is not None:
            path = (*at, name, tree.ANY) if tree.named(key) else (*at, name)
            yield path, inner
            yield from _tables(inner, path)


def _settings(struct: type[msgspec.Struct]) -> dict[str, tree.Key]:
    return {name: key for name, key in tree.keys(struct).items() if not tree.table(key) and not tree.named(key)}


def _lines(struct: type[msgspec.Struct]) -> list[str]:
    docs = _field_docs(struct)
    shown = [(name, docs[name], _toml(struct, key)) for name, key in _settings(struct).items()]
    return [f"\n{_comment(doc)}#{name} = {value}\n" for name, doc, value in shown]


def _rows(struct: type[msgspec.Struct], at: tree.Path) -> str:
    docs, keys = _field_docs(struct), _settings(struct)
    rows = ["| Setting | Takes | Default | What it does |\n| --- | --- | --- | --- |\n"]
    for name, key in keys.items():
        default = "required" if key.required else "not set" if key.default is None else f"`{_value(key.default)}`"
        variable = tree.variable((*at, name))
        rows.append(f"| `{name}`<br>`{variable}` | {key.takes} | {default} | {docs[name]} |\n")
    return "".join(rows) if keys else ""


def _doc(struct: type[msgspec.Struct]) -> str:
    return " ".join((struct.__doc__ or "").split())


def _field_docs(struct: type[msgspec.Struct]) -> dict[str, str]:
    """The string under each field, which Python itself forgets."""
    for node in ast.parse(inspect.getsource(antiphon.config)).body:
        if isinstance(node, ast.ClassDef) and node.name == struct.__name__:
            return {
                field.target.id: " ".join(text.value.value.split())
                for field, text in zip(node.body, node.body[1:], strict=False)
                if isinstance(field, ast.AnnAssign)
                and isinstance(field.target, ast.Name)
                and isinstance(text, ast.Expr)
                and isinstance(text.value, ast.Constant)
                and isinstance(text.value.value, str)
            }
    raise LookupError(struct.__name__)


def _comment(text: str) -> str:
    return textwrap.fill(text, 110, initial_indent="# ", subsequent_indent="# ") + "\n"


def _toml(struct: type[msgspec.Struct], key: tree.Key) -> str:
    """The default as TOML; what has none shows an example."""
    if key.required or key.default is None:
        return _EXAMPLES.get(f"{struct.__name__}.{key.name}") or _EXAMPLES[key.name]
    return _value(key.default)


_EXAMPLES = {
    "url": '"http://127.0.0.1:8000/v1"',
    "key": '"env:LOCAL_API_KEY"',
    "WebSearchConfig.key": '"env:SEARCH_KEY"',
    "McpServerConfig.url": '"http://127.0.0.1:8000/mcp"',
    "KitConfig.use": '"my_tools:Weather"',
    "authorization": '"env:LOCAL_TOKEN"',
    "document_prefix": '"search_document: "',
    "query_prefix": '"search_query: "',
    "dir": '"recordings"',
    "faults": '"faults.toml"',
    "control_token": '"env:TAPE_TOKEN"',
    "database_url": '"postgresql://user:password@host/db"',
    "default_upstream": '"local"',
}


def _value(value: Any) -> str:
    return json.dumps(value)


def main(root: Path) -> None:
    """Writes both pages below the root of the repository."""
    (root / "docs" / "configuration.md").write_text(markdown(), "utf-8")
    (root / "antiphon.example.toml").write_text(example(), "utf-8")


if __name__ == "__main__":
    main(Path.cwd())
