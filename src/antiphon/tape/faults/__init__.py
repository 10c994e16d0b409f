"""Faults on top of a recording or of live traffic, the same ones in every run.

``parse`` reads them, ``Faults.pick`` says which one befalls a call, ``Filter`` puts it into a body.
"""

from __future__ import annotations

from antiphon.tape.faults.choice import HEADER, Faults, Picked
from antiphon.tape.faults.fault import Cut, Fault, Malformed, Slow, Stall
from antiphon.tape.faults.filter import Action, Filter, Send, Sleep, Stop
from antiphon.tape.faults.parse import FaultError, load, parse, parse_header

__all__ = [
    "HEADER",
    "Action",
    "Cut",
    "Fault",
    "FaultError",
    "Faults",
    "Filter",
    "Malformed",
    "Picked",
    "Send",
    "Sleep",
    "Slow",
    "Stall",
    "Stop",
    "load",
    "parse",
    "parse_header",
]
