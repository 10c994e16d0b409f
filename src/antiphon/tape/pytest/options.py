"""Options, settings and markers of the plugin, with pytest-recording's names for what is the same."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Literal

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
VCR_MARKER = "vcr: the same as recording, for tests that were written for pytest-recording."


def add_ini(parser: pytest.Parser) -> None:
    """The keys of the configuration file. They are known even where the options belong to another plugin."""
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


def add_options(parser: pytest.Parser) -> None:
    """The options of the command line. Raises ``ValueError`` when another plugin has taken one of them."""
    add = parser.getgroup("recording", "recordings of calls to models and tools").addoption
    add("--record-mode", choices=list(MODES), default=None, help="What to do with calls; the default is none: replay.")
    add("--block-network", action="store_true", help="Block connections in all tests, save those that record.")
    add("--allowed-hosts", default=None, help="Patterns of hosts that may be connected to, with commas between them.")
    add("--disable-recording", action="store_true", help="Neither record nor replay; the same as mode live.")
    add("--record-strict", action="store_true", help="A repeat that was not recorded, or a loose match, is a miss.")
    add("--record-unused", choices=("fail", "warn", "ignore"), default=None, help="What to do about unused recordings.")
    add("--record-timing", choices=("none", "summary", "exact"), default=None, help="What recordings keep of timing.")
    add("--record-fault", metavar="FILE", default=None, help="Faults to play on all calls: a TOML or JSON file.")
    add("--record-budget", metavar="TOKENS", type=int, default=None, help="Tokens after which recording stops.")
    add("--record-only-failed", action="store_true", help="Record only those tests that missed a recording last time.")
    add("--record-keep-failed", action="store_true", help="Keep what failing tests recorded.")


class Options:
    """What the command line and the configuration file say."""

    def __init__(self, config: pytest.Config) -> None:
        option, ini = config.option, config.getini
        self.explicit: str | None = option.record_mode or ini("record_mode") or None
        if self.explicit is not None and self.explicit not in MODES:
            raise pytest.UsageError(f"record_mode: {self.explicit!r} is none of {', '.join(MODES)}")
        self.on_command_line = option.record_mode is not None
        self.disabled: bool = option.disable_recording
        self.all_tests: bool = ini("record_all")
        self.block_all: bool = option.block_network
        self.block_replay: bool = ini("record_block_network")
        given: str | None = option.allowed_hosts
        self.allowed_hosts: list[str] | None = given.split(",") if given is not None else None
        self.allowed_by_file: list[str] = ini("record_allowed_hosts")
        self.ignore_hosts: list[str] = ini("record_ignore_hosts")
        self.strict: bool = option.record_strict or _strict(ini("record_strict"))
        self.unused: str = option.record_unused or ini("record_unused") or "warn"
        self.timing: str = option.record_timing or ini("record_timing") or "none"
        self.fault_file: str | None = option.record_fault
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
    if value.lower() in ("true", "false"):
        return value.lower() == "true"
    raise pytest.UsageError(f"record_strict: {value!r} is none of true, false, auto")
