"""Options, settings and markers of the plugin, with pytest-recording's names for what is the same."""

from __future__ import annotations

import os
from collections.abc import Container
from typing import TYPE_CHECKING, Any, Literal

import pytest

if TYPE_CHECKING:
    from antiphon.tape.model import Mode

#: What is done with the calls of a recorded test. ``off``: they are none of our business.
Doing = Literal["off", "replay", "once", "record-if-missing", "record", "rewrite", "verify"]

#: pytest-recording's words, and ours for the same.
MODES: dict[str, Doing] = {
    "none": "replay",
    "replay": "replay",
    "once": "once",
    "new_episodes": "record-if-missing",
    "record-if-missing": "record-if-missing",
    "all": "record",
    "record": "rewrite",
    "rewrite": "rewrite",
    "verify": "verify",
    "live": "off",
}

#: What a marker, and the fixture ``recording_config``, may say.
KEYS = frozenset(
    {
        "mode",
        "modes",
        "scope",
        "volatile",
        "relax",
        "exhausted",
        "speed",
        "fault",
        "rewrite",
        "allow",
        "ignore_hosts",
        "allowed_hosts",
    }
)

MARKERS = (
    "recording(**config): the calls of this test to models and tools are recorded and replayed; see recording_config.",
    "block_network(allowed_hosts=None): no connection leaves this test, except to hosts that match these patterns.",
)
VCR_MARKERS = (
    "vcr: the same as recording, for tests that were written for pytest-recording.",
    "default_cassette(name): without effect; for tests that were written for pytest-recording.",
)

_UNUSED = ("fail", "warn", "ignore")
_TIMING = ("none", "summary", "exact")

#: Options that pytest-recording has too, with the same meaning.
_SHARED: dict[str, dict[str, Any]] = {
    "--record-mode": {
        "choices": list(MODES),
        "default": None,
        "help": "What to do with calls; the default is none: replay.",
    },
    "--block-network": {"action": "store_true", "help": "Block connections in all tests, save those that record."},
    "--allowed-hosts": {
        "default": None,
        "help": "Patterns of hosts that may be connected to, with commas between them.",
    },
    "--disable-recording": {"action": "store_true", "help": "Neither record nor replay; the same as mode live."},
}


def add_ini(parser: pytest.Parser) -> None:
    """The keys of the configuration file."""
    say = parser.addini
    say("record_mode", "Record mode when --record-mode is not given.", default="")
    say("record_all", "Record every test, marked or not.", type="bool", default=False)
    say("record_strict", "As --record-strict: true, false, or auto for true in CI.", default="auto")
    say("record_unused", "As --record-unused.", default="")
    say("record_timing", "As --record-timing.", default="")
    say("record_block_network", "Block the network in recorded tests that replay.", type="bool", default=True)
    say("record_allowed_hosts", "As --allowed-hosts.", type="linelist", default=[])
    say("record_ignore_hosts", "Hosts whose calls are not recorded: patterns.", type="linelist", default=[])
    say("record_directory", "Name of the directory beside each test module.", default="recordings")


def add_shared(parser: pytest.Parser, but: Container[str] = ()) -> None:
    """The options that other recorders have too, ``but`` for those that one of them brings or has brought."""
    group = _group(parser)
    for name, attributes in _SHARED.items():
        if name not in but:
            try:
                group.addoption(name, **attributes)
            except ValueError:
                pass  # it is there already, and means the same


def add_options(parser: pytest.Parser) -> None:
    """The options of the command line that are ours alone."""
    add = _group(parser).addoption
    help_ = "As --record-mode, and wins over it: for suites in which another recorder has that option too."
    add("--tape-mode", choices=list(MODES), default=None, help=help_)
    add("--record-strict", action="store_true", help="A repeat that was not recorded, or a loose match, is a miss.")
    add("--record-unused", choices=_UNUSED, default=None, help="What to do about unused recordings.")
    add("--record-timing", choices=_TIMING, default=None, help="What recordings keep of timing.")
    add("--record-fault", metavar="FILE", default=None, help="Faults to play on all calls: a TOML or JSON file.")
    add("--record-budget", metavar="TOKENS", type=int, default=None, help="Tokens after which recording stops.")
    add("--record-only-failed", action="store_true", help="Record only those tests that missed a recording last time.")
    add("--record-keep-failed", action="store_true", help="Keep what failing tests recorded.")


def _group(parser: pytest.Parser) -> pytest.OptionGroup:
    return parser.getgroup("recording", "recordings of calls to models and tools")


class Options:
    """What the command line and the configuration file say."""

    def __init__(self, config: pytest.Config) -> None:
        option, ini = config.option, config.getini
        in_file: str | None = ini("record_mode") or None
        if in_file is not None:
            _one_of(tuple(MODES), "record_mode", in_file)
        # Another recorder's option may be missing where that recorder is older than we know it.
        given: str | None = option.tape_mode or getattr(option, "record_mode", None)
        self.explicit: str | None = given or in_file
        self.on_command_line = given is not None
        self.disabled: bool = getattr(option, "disable_recording", False)
        self.all_tests: bool = ini("record_all")
        self.block_all: bool = getattr(option, "block_network", False)
        self.block_replay: bool = ini("record_block_network")
        hosts: str | None = getattr(option, "allowed_hosts", None)
        self.allowed_hosts: list[str] | None = hosts.split(",") if hosts is not None else None
        self.allowed_by_file: list[str] = ini("record_allowed_hosts")
        self.ignore_hosts: list[str] = ini("record_ignore_hosts")
        self.strict: bool = option.record_strict or _strict(ini("record_strict"))
        self.unused: str = option.record_unused or _one_of(_UNUSED, "record_unused", ini("record_unused") or "warn")
        self.timing: str = option.record_timing or _one_of(_TIMING, "record_timing", ini("record_timing") or "none")
        file: str | None = option.record_fault
        self.fault_file = config.invocation_params.dir / file if file is not None else None
        self.budget: int | None = option.record_budget
        self.only_failed: bool = option.record_only_failed
        self.keep_failed: bool = option.record_keep_failed
        self.directory: str = ini("record_directory")


def doing(name: str) -> Doing:
    """What a mode's name means. Raises ``pytest.UsageError``."""
    try:
        return MODES[name]
    except KeyError:
        raise pytest.UsageError(f"recording mode {name!r} is none of {', '.join(MODES)}") from None


def mode_of(what: Doing, *, recorded_before: bool) -> Mode:
    """The tape's mode for it."""
    if what == "once":
        return "replay" if recorded_before else "record-if-missing"
    if what == "record" or what == "rewrite":
        return "record"
    return "live" if what == "off" else what


def _strict(value: str) -> bool:
    if value == "auto":
        return os.environ.get("CI", "").lower() not in ("", "0", "false")
    return _one_of(("true", "false", "auto"), "record_strict", value.lower()) == "true"


def _one_of(known: tuple[str, ...], key: str, value: str) -> str:
    if value not in known:
        raise pytest.UsageError(f"{key}: {value!r} is none of {', '.join(known)}")
    return value
