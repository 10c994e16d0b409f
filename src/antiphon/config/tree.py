"""The shape of the tree, read off the structs: which keys there are, what each takes, and what must be hidden.

Loading, masking and the reference page all walk this, so that a new field of a struct is a new setting everywhere.
"""

from __future__ import annotations

import math
import types
from collections.abc import Iterator
from typing import Annotated, Any, Literal, Union, get_args, get_origin

import msgspec

from antiphon.config import Config

#: Keys from the root to a setting, an upstream's name included.
Path = tuple[str, ...]

#: Stands for the name that a table of named things takes from its user.
ANY = "NAME"


class Key(msgspec.Struct, frozen=True):
    """One setting. ``type`` is the annotation without ``Annotated`` and ``None``; the rest is what those said."""

    name: str
    type: Any
    optional: bool
    required: bool
    default: Any
    meta: msgspec.Meta | None

    @property
    def hide(self) -> str:
        """``all``, ``user`` or ``password`` where the value, or a part of a URL, is secret; else empty."""
        extra = self.meta.extra if self.meta is not None else None
        return str(extra["hide"]) if extra else ""

    @property
    def from_env(self) -> bool:
        """A value ``env:NAME`` stands for that environment variable."""
        return self.hide in ("all", "password")

    @property
    def takes(self) -> str:
        """What a value must be, in words: ``a whole number from 0 to 65535``."""
        return _words(self.type) + _bounds(self.meta)

    def convert(self, value: Any) -> Any:
        """The value as the struct wants it. Raises ``msgspec.ValidationError``."""
        wanted: Any = Annotated[self.type, self.meta] if self.meta is not None else self.type
        converted = msgspec.convert(value, wanted)
        if isinstance(converted, float) and not math.isfinite(converted):
            raise msgspec.ValidationError("no clock can wait that long")
        return converted

    def parse(self, text: str) -> Any:
        """The value written as text, as an environment variable has it. Raises ``msgspec.ValidationError``."""
        if text == "" and self.optional:
            return None
        kind = get_origin(self.type) or self.type
        if kind is tuple and not text.lstrip().startswith("["):
            return self.convert([part.strip() for part in text.split(",") if part.strip()])
        if kind in (tuple, dict):
            try:
                return self.convert(msgspec.json.decode(text))
            except msgspec.DecodeError as wrong:
                raise msgspec.ValidationError("it is not JSON") from wrong
        if kind is bool and text.lower() in _SWITCH:
            return _SWITCH[text.lower()]
        if kind in (bool, int, float):
            return self.convert(msgspec.convert(text, self.type, strict=False))
        return self.convert(text)


_SWITCH = {"yes": True, "on": True, "true": True, "1": True, "no": False, "off": False, "false": False, "0": False}


def keys(struct: type[msgspec.Struct]) -> dict[str, Key]:
    """The settings and tables of one struct, by name."""
    return {field.name: _key(field) for field in msgspec.structs.fields(struct)}


def table(key: Key) -> type[msgspec.Struct] | None:
    """The struct behind a key that is a fixed table."""
    return key.type if isinstance(key.type, type) and issubclass(key.type, msgspec.Struct) else None


def named(key: Key) -> type[msgspec.Struct] | None:
    """The struct behind a key that is a table of tables, each named by the user."""
    if get_origin(key.type) is dict:
        value = get_args(key.type)[1]
        if isinstance(value, type) and issubclass(value, msgspec.Struct):
            return value
    return None


def settings(struct: type[msgspec.Struct] = Config, at: Path = ()) -> Iterator[tuple[Path, Key]]:
    """Every setting below a struct, depth first; a named table stands there once, as ``NAME``."""
    for name, key in keys(struct).items():
        if (inner := table(key)) is not None:
            yield from settings(inner, (*at, name))
        elif (inner := named(key)) is not None:
            yield from settings(inner, (*at, name, ANY))
        else:
            yield (*at, name), key


def named_at(path: Path) -> bool:
    """Whether the table that holds this setting has its name from its user."""
    struct: type[msgspec.Struct] = Config
    names = iter(path[:-1])
    its_users = False
    for name in names:
        key = keys(struct)[name]
        its_users = (inner := table(key)) is None
        struct = inner or named(key) or Config
        if its_users:
            next(names)
    return its_users


def variable(path: Path) -> str:
    """The environment variable of a setting: ``ANTIPHON_SERVER__PORT``."""
    return "ANTIPHON_" + "__".join(segment(part) for part in path)


def segment(name: str) -> str:
    """A key or name as it stands in a variable: capitals, and ``_`` for what a variable cannot hold."""
    return "".join(c if c.isascii() and c.isalnum() else "_" for c in name).upper()


def dotted(path: Path) -> str:
    """``server.port``; a name with odd characters in quotes, as TOML wants it."""
    return ".".join(p if p.replace("-", "").replace("_", "").isalnum() and p.isascii() else f'"{p}"' for p in path)


def _key(field: msgspec.structs.FieldInfo) -> Key:
    wanted, meta = field.type, None
    if get_origin(wanted) is Annotated:
        wanted, meta = get_args(wanted)
    optional = False
    if get_origin(wanted) in (types.UnionType, Union):
        (wanted,) = [arm for arm in get_args(wanted) if arm is not type(None)]
        optional = True
    default = field.default
    if default is msgspec.NODEFAULT and field.default_factory is not msgspec.NODEFAULT:
        default = field.default_factory()
    return Key(field.name, wanted, optional, field.required, default, meta)


def _words(wanted: Any) -> str:
    if get_origin(wanted) is Literal:
        return "one of " + ", ".join(f'"{value}"' for value in get_args(wanted))
    if get_origin(wanted) is tuple:
        return "a list of text"
    if get_origin(wanted) is dict:
        return "a table of whole numbers" if get_args(wanted)[1] is int else "a table of text"
    return {bool: "true or false", int: "a whole number", float: "a number", str: "text"}[wanted]


def _bounds(meta: msgspec.Meta | None) -> str:
    if meta is None or meta.ge is None:
        return ""
    low = f"{meta.ge:g}"
    return f" from {low} to {meta.le:g}" if meta.le is not None else f", {low} or more"
