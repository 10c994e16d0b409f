"""From file, environment and command line to one ``Config``; what is wrong is named with its place and the way out.

The later wins: default, file, environment, command line. Nothing is guessed and nothing ignored: an unknown key, an
``ANTIPHON_`` variable that is no setting and a value of the wrong type all raise ``ConfigError``.
"""

from __future__ import annotations

import difflib
import re
import tomllib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import msgspec

from antiphon.config import Config, tree

FILE_NAME = "antiphon.toml"

#: Variables that begin like a setting and are none.
OTHER_VARIABLES = {
    "ANTIPHON_CONFIG": "the configuration file, where `--config` does not name one",
    "ANTIPHON_URL": "the server that `antiphon ingest` talks to",
    "ANTIPHON_KEYS": "keys of `encrypted_content`, separated by commas: the first encrypts, all decrypt",
}

# An orchestrator that runs a service named antiphon (or antiphon-db) puts its addresses into every container.
_ORCHESTRATOR = re.compile(
    r"ANTIPHON(_[A-Z0-9_]+?)??_(SERVICE_(HOST|PORT(_[A-Z0-9_]+)?)|PORT(_\d+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?)?)"
)
_ADDRESS = re.compile(r"(tcp|udp|sctp)://")


class ConfigError(Exception):
    """The configuration cannot be used. The text names the place, what was expected and the way out; no secret."""


class Loaded(msgspec.Struct, frozen=True):
    """A configuration and where each part of it came from.

    ``origins`` has an entry for each setting that is not at its default: the file, the variable, or ``command line``.
    """

    config: Config
    origins: dict[tree.Path, str]
    file: Path | None


def load(path: Path | None, env: Mapping[str, str], overrides: Mapping[str, Any]) -> Config:
    """The configuration; see ``resolve``."""
    return resolve(path, env, overrides).config


def resolve(path: Path | None, env: Mapping[str, str], overrides: Mapping[str, Any]) -> Loaded:
    """The configuration and its origins. Raises ``ConfigError``.

    ``path`` is the file asked for, which must be there; without it ``$ANTIPHON_CONFIG``, else ``antiphon.toml`` in the
    working directory if there is one. ``overrides`` come from the command line: dotted keys (``server.port``) to
    values. A whole table (``upstreams.local`` to a mapping) takes the place of that table, so that no key of the file
    goes to a URL of the command line.
    """
    file = _find(path, env)
    layers = _Layers()
    if file is not None:
        layers.take(Config, _read(file), (), str(file))
    for name in sorted(env):
        if name.startswith("ANTIPHON_") and not _is_other(name, env[name]):
            layers.take_variable(name, env[name])
    for key, value in overrides.items():
        layers.take_override(key, value)
    return Loaded(layers.build(env), layers.origins, file)


class _Layers:
    """Settings by path, the last one standing, and the origin of each."""

    def __init__(self) -> None:
        self.values: dict[tree.Path, Any] = {}
        self.indirect: set[tree.Path] = set()  # those that may say env:NAME
        self.origins: dict[tree.Path, str] = {}
        self.names: dict[tree.Path, str] = {}  # paths of the tables that users named, and where they did

    def take(self, struct: type[msgspec.Struct], data: Any, at: tree.Path, origin: str) -> None:
        """Everything of one table, as TOML has it."""
        if not isinstance(data, Mapping):
            raise ConfigError(f"{origin}: {tree.dotted(at)} must be a table, not {_kind(data)}.")
        known = tree.keys(struct)
        for name, value in data.items():
            if name not in known:
                raise ConfigError(f"{origin}: {_unknown(name, known, at)}")
            key, here = known[name], (*at, name)
            if (inner := tree.table(key)) is not None:
                self.take(inner, value, here, origin)
            elif (inner := tree.named(key)) is not None:
                self._take_named(inner, value, here, origin)
            else:
                self._set(here, key, value, origin)

    def _take_named(self, struct: type[msgspec.Struct], data: Any, at: tree.Path, origin: str) -> None:
        if not isinstance(data, Mapping):
            raise ConfigError(f"{origin}: {tree.dotted(at)} must be a table of tables, not {_kind(data)}.")
        for name, value in data.items():
            self._name((*at, name), origin)
            self.take(struct, value, (*at, name), origin)

    def take_variable(self, variable: str, text: str) -> None:
        """One environment variable."""
        path, key = self._find(variable)
        if tree.named_at(path):
            self._name(path[:-1], variable)
        try:
            value = key.parse(text)
        except msgspec.ValidationError:
            raise ConfigError(f"{variable}: {tree.dotted(path)} must be {key.takes}.{_how(key)}") from None
        self._keep(path, key, value, variable)

    def take_override(self, dotted: str, value: Any) -> None:
        """One setting or table of the command line."""
        path = tuple(dotted.split(".", 4 if dotted.startswith("tools.") else 2))
        if path[:2] == ("knowledge", "models") and not isinstance(value, Mapping):
            path = (*path[:2], *path[2].rsplit(".", 1))  # names of models have points in them
        if isinstance(value, Mapping):
            for old in [p for p in self.values if p[: len(path)] == path]:
                del self.values[old], self.origins[old]
        for name in reversed(path):
            value = {name: value}
        self.take(Config, value, (), "command line")

    def build(self, env: Mapping[str, str]) -> Config:
        """The tree, with what ``env:NAME`` stands for."""
        whole: dict[str, Any] = {}
        for path, value in self.values.items():
            table = whole
            for name in path[:-1]:
                table = table.setdefault(name, {})
            table[path[-1]] = self._opened(path, value, env)
        for path, origin in self.names.items():
            table = whole
            for name in path:
                table = table.get(name, {})
            self._check_named(path, table, origin)
        return msgspec.convert(whole, Config)

    def _check_named(self, path: tree.Path, table: Mapping[str, Any], origin: str) -> None:
        """What no single key can tell: whether a table that its user named is whole."""
        name, url = path[-1], table.get("url")
        if path[0] == "upstreams":
            if not url:
                raise ConfigError(
                    f'{origin}: upstream {name} has no url. Add url = "http://host:port/v1" to [{tree.dotted(path)}].'
                )
            _check_upstream(name, url, self.origins[*path, "url"])
            return
        if path[:3] != ("tools", "mcp", "servers"):
            return
        if not url and not table.get("command"):
            raise ConfigError(
                f"{origin}: the server {name} has neither url nor command. Add one to [{tree.dotted(path)}]."
            )
        if url and table.get("command"):
            raise ConfigError(
                f"{origin}: the server {name} has both url and command. Keep one in [{tree.dotted(path)}]."
            )
        if url and not _is_http(url):
            raise ConfigError(
                f"{self.origins[*path, 'url']}: the url of server {name} must be like http://host:port/mcp."
            )

    def _set(self, path: tree.Path, key: tree.Key, value: Any, origin: str) -> None:
        try:
            converted = key.convert(value)
        except msgspec.ValidationError:
            raise ConfigError(f"{origin}: {tree.dotted(path)} must be {key.takes}, not {_kind(value)}.") from None
        self._keep(path, key, converted, origin)

    def _keep(self, path: tree.Path, key: tree.Key, value: Any, origin: str) -> None:
        self.values[path] = value
        self.origins[path] = origin
        if key.from_env:
            self.indirect.add(path)

    def _name(self, path: tree.Path, origin: str) -> None:
        self.names.setdefault(path, origin)

    def _find(self, variable: str) -> tuple[tree.Path, tree.Key]:
        """The setting of a variable. A named table that the file has is found by its name in capitals."""
        wanted = variable.removeprefix("ANTIPHON_").split("__")
        for path, key in tree.settings():
            if len(path) == len(wanted) and all(map(_fits, path, wanted)):
                found = [self._named(path, w) if p == tree.ANY else p for p, w in zip(path, wanted, strict=True)]
                return tuple(found), key
        raise ConfigError(f"{variable} is no setting.{_nearest_variable(variable)} docs/configuration.md lists all.")

    def _named(self, path: tree.Path, wanted: str) -> str:
        table = path[: path.index(tree.ANY)]
        there = sorted({name[-1] for name in self.names if name[:-1] == table and tree.segment(name[-1]) == wanted})
        if len(there) > 1:
            raise ConfigError(
                f"{tree.variable(path).replace(tree.ANY, wanted)} could mean {' or '.join(there)}: rename one of them."
            )
        return there[0] if there else wanted.lower()

    def _opened(self, path: tree.Path, value: Any, env: Mapping[str, str]) -> Any:
        """What ``env:NAME`` stands for, in the settings that may say so."""
        if path not in self.indirect or value is None:
            return value
        if isinstance(value, dict):
            return {name: self._opened_text(path, each, env) for name, each in value.items()}
        return self._opened_text(path, value, env)

    def _opened_text(self, path: tree.Path, value: str, env: Mapping[str, str]) -> str:
        if not value.startswith("env:"):
            return value
        name = value.removeprefix("env:").strip()
        if not env.get(name):
            raise ConfigError(
                f"{self.origins[path]}: {tree.dotted(path)} is read from the environment variable {name}, which is "
                "not set. Set it, or write the value itself."
            )
        self.origins[path] += f" ({value})"
        return env[name]


def _find(path: Path | None, env: Mapping[str, str]) -> Path | None:
    if path is None and env.get("ANTIPHON_CONFIG"):
        path = Path(env["ANTIPHON_CONFIG"])
    if path is None:
        return Path(FILE_NAME) if Path(FILE_NAME).is_file() else None
    if not path.is_file():
        raise ConfigError(f"There is no configuration file {path}.")
    return path


def _read(file: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(file.read_text("utf-8"))
    except OSError as wrong:
        raise ConfigError(f"{file} cannot be read: {wrong.strerror}.") from wrong
    except UnicodeDecodeError as wrong:
        raise ConfigError(f"{file} is not UTF-8 text (byte {wrong.start}).") from wrong
    except tomllib.TOMLDecodeError as wrong:
        raise ConfigError(f"{file} is not valid TOML: {wrong}.") from wrong


def _is_other(name: str, value: str) -> bool:
    if name in OTHER_VARIABLES:
        return True
    if _ORCHESTRATOR.fullmatch(name) is None or "__" in name:
        return False
    # A bare ANTIPHON_PORT may also be somebody's wish: only an address is the orchestrator's.
    return not name.endswith("_PORT") or "_SERVICE_" in name or "_PORT_" in name or _ADDRESS.match(value) is not None


def _unknown(name: str, known: Iterable[str], at: tree.Path) -> str:
    near = difflib.get_close_matches(name, known, 1)
    guess = f" Did you mean {tree.dotted((*at, near[0]))}?" if near else ""
    where = f"[{tree.dotted(at)}]" if at else "the top level"
    return f"unknown key {tree.dotted((*at, name))}.{guess} Keys of {where}: {', '.join(sorted(known))}."


def _nearest_variable(variable: str) -> str:
    names = [tree.variable(path) for path, _ in tree.settings()] + list(OTHER_VARIABLES)
    typing_slip = difflib.get_close_matches(variable, names, 1, cutoff=0.9)
    same_end = [n for n in names if n.endswith("__" + variable.removeprefix("ANTIPHON_"))]
    near = typing_slip or same_end or difflib.get_close_matches(variable, names, 1)
    return f" Did you mean {near[0]}?" if near else ""


def _check_upstream(name: str, url: str, origin: str) -> None:
    if not name or "/" in name:
        raise ConfigError(f'{origin}: "{name}" cannot name an upstream: it stands before the / of a model id.')
    if not (_is_http(url) or url.startswith("demo:")):
        raise ConfigError(f"{origin}: the url of upstream {name} must be like http://host:port/v1.")


def _is_http(url: str) -> bool:
    try:
        parts = urlsplit(url)
        return parts.scheme in ("http", "https") and bool(parts.hostname) and (parts.port is None or parts.port > 0)
    except ValueError:
        return False


def _how(key: tree.Key) -> str:
    if key.takes == "a list of text":
        return ' Write "a,b" or a JSON list.'
    if key.takes == "a table of text":
        return ' Write a JSON object, such as {"NAME": "text"}.'
    if key.takes == "a table of whole numbers":
        return ' Write a JSON object, such as {"*": 8192}.'
    return ""


def _fits(name: str, wanted: str) -> bool:
    return bool(wanted) if name == tree.ANY else tree.segment(name) == wanted


_KINDS = {
    bool: "true or false",
    int: "this number",
    float: "this number",
    str: "this text",
    list: "a list",
    dict: "a table",
}


def _kind(value: Any) -> str:
    """What was there instead, without the value: it may be a secret in the wrong place."""
    return _KINDS.get(type(value), "a date or time")
