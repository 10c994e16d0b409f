"""What one test wants of its recording: from the command line, its markers, ``recording_config`` and the ini file."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any
from urllib.parse import urlsplit

import msgspec
import pytest

from antiphon.tape.engine import Settings
from antiphon.tape.model import BOUNDARIES, NO_SCOPE, Boundary, Mode
from antiphon.tape.pytest import neighbours
from antiphon.tape.pytest.options import KEYS, Doing, Options, doing

_LOOPBACK = ("localhost", "127.0.0.1", "0.0.0.0", "::1")  # noqa: S104 - names to compare with
#: What of pytest-recording's configuration has a meaning here; the rest has none, or happens anyway.
_OF_VCR = ("record_mode", "ignore_hosts", "ignore_localhost", "allowed_hosts")


class Wishes(msgspec.Struct, frozen=True):
    """One test's. ``own``: no other test has its scope. ``ignore``: patterns of hosts whose calls are not recorded."""

    what: Doing
    scope: str
    own: bool
    modes: dict[Boundary, Mode]
    allowed_hosts: tuple[str, ...]
    ignore: tuple[str, ...]
    fault: Any
    rewrite: Callable[..., Any] | None
    more: dict[str, Any]
    unused_words: tuple[str, ...] = ()

    def owns(self, scope: str) -> bool:
        """Whether this scope is the test's, or one inside it, and no other test's."""
        return self.own and (scope == self.scope or scope.startswith(f"{self.scope}/"))

    def ignores(self, url: str) -> bool:
        """Whether calls to this URL are none of ours."""
        host = urlsplit(url).hostname or ""
        return any(re.match(pattern, host) for pattern in self.ignore)

    def settings(self, directory: str, mode: Mode, options: Options) -> Settings:
        """The tape's settings, but for the budget, which all tapes share."""
        given = {"timing": options.timing, "strict": options.strict, **self.more}
        return msgspec.convert({"directory": directory, "mode": mode, "modes": self.modes, **given}, Settings)


def of(request: pytest.FixtureRequest, options: Options, missed: frozenset[str]) -> Wishes:
    """The wishes of the test that asks. Raises ``pytest.UsageError`` for words that mean nothing."""
    node = request.node
    told, silent = _told(request)
    block = node.get_closest_marker("block_network")
    allowed = (
        (block.kwargs.get("allowed_hosts") if block is not None else None)
        or options.allowed_hosts
        or told.get("allowed_hosts")
        or options.allowed_by_file
    )
    scope = NO_SCOPE if told.get("scope", "") is None else told.get("scope") or scope_of(node.nodeid)
    return Wishes(
        what=_what(node.nodeid, options, told, missed),
        scope=scope,
        own=scope == scope_of(node.nodeid),
        modes=_modes(told.get("modes", {})),
        allowed_hosts=_strings(allowed),
        ignore=(*options.ignore_hosts, *_strings(told.get("ignore_hosts", ()))),
        fault=told.get("fault"),
        rewrite=told.get("rewrite"),
        more=_more(told),
        unused_words=silent,
    )


def scope_of(nodeid: str) -> str:
    """The scope of a test: its file and what is in it, as seen from its directory."""
    path, colons, inside = nodeid.partition("::")
    return path.rpartition("/")[2] + colons + inside


def _told(request: pytest.FixtureRequest) -> tuple[dict[str, Any], tuple[str, ...]]:
    told: dict[str, Any] = dict(request.getfixturevalue("recording_config"))
    silent: list[str] = []
    node = request.node
    if node.get_closest_marker("vcr") is not None and not neighbours.mind_vcr(request.config.pluginmanager):
        ours, silent = _of_vcr(request)
        told = {**ours, **told}
    for marker in reversed(list(node.iter_markers("recording"))):
        if marker.args:
            raise pytest.UsageError(f"{node.nodeid}: the marker recording takes names only, as in scope='shared'")
        told.update(marker.kwargs)
    unknown = sorted(set(told) - KEYS)
    if unknown:
        raise pytest.UsageError(
            f"{node.nodeid}: recording knows no {', '.join(unknown)}; it knows {', '.join(sorted(KEYS))}"
        )
    return told, tuple(silent)


def _of_vcr(request: pytest.FixtureRequest) -> tuple[dict[str, Any], list[str]]:
    """What the configuration that was written for pytest-recording says that matters here, and what does not."""
    try:
        said: dict[str, Any] = dict(request.getfixturevalue("vcr_config"))
    except pytest.FixtureLookupError:
        said = {}
    for marker in reversed(list(request.node.iter_markers("vcr"))):
        said.update(marker.kwargs)
        said.update({"cassette names": marker.args} if marker.args else {})
    if request.node.get_closest_marker("default_cassette") is not None:
        said["cassette names"] = True
    ignore = [re.escape(host) + "$" for host in _strings(said.get("ignore_hosts", ()))]
    if said.get("ignore_localhost"):
        ignore += [re.escape(host) + "$" for host in _LOOPBACK]
    ours: dict[str, Any] = {"ignore_hosts": ignore}
    if "record_mode" in said:
        ours["mode"] = str(getattr(said["record_mode"], "value", said["record_mode"]))
    if "allowed_hosts" in said:
        ours["allowed_hosts"] = said["allowed_hosts"]
    return ours, sorted(set(said) - set(_OF_VCR))


def _what(nodeid: str, options: Options, told: Mapping[str, Any], missed: frozenset[str]) -> Doing:
    if options.disabled:
        return "off"
    named = options.explicit if options.on_command_line else told.get("mode") or options.explicit
    found = doing(named or "none")
    if options.only_failed and nodeid not in missed and found != "off":
        return "replay"
    return found


def _modes(told: Mapping[str, str]) -> dict[Boundary, Mode]:
    """Per boundary; pytest-recording's words are understood here too."""
    modes: dict[Boundary, Mode] = {}
    for boundary, name in told.items():
        if boundary not in BOUNDARIES:
            raise pytest.UsageError(f"recording: modes knows no {boundary!r}; it knows {', '.join(BOUNDARIES)}")
        what = doing(name)
        if what == "once":
            raise pytest.UsageError("recording: 'once' is for a whole test, and not for one boundary")
        modes[boundary] = "live" if what == "off" else "record" if what in ("record", "rewrite") else what  # type: ignore[assignment]
    return modes


def _more(told: Mapping[str, Any]) -> dict[str, Any]:
    more = {key: told[key] for key in ("exhausted", "speed") if key in told}
    more.update({key: _strings(told[key]) for key in ("volatile", "relax", "allow") if key in told})
    return more


def _strings(value: str | Sequence[str] | None) -> tuple[str, ...]:
    if value is None:
        return ()
    return tuple(value.split(",")) if isinstance(value, str) else tuple(value)
