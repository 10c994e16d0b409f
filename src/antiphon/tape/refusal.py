"""Calls that the tape does not let through, as exceptions and as errors on the wire."""

from __future__ import annotations

import msgspec

from antiphon.tape.faults import FaultError
from antiphon.tape.miss import Miss
from antiphon.tape.model import Headers

_encode = msgspec.json.Encoder().encode


class Refusal(Exception):
    """A call that the tape does not let through; on the wire an error that the clients do not try again."""

    status = 424  # the SDKs do not try it again, and the header says so too
    headers: Headers = (("content-type", "application/json"), ("x-should-retry", "false"))
    code = "tape_refused"

    @property
    def body(self) -> bytes:
        """OpenAI's form of an error."""
        return _encode(
            {"error": {"message": str(self), "type": "invalid_request_error", "param": None, "code": self.code}}
        )


class RecordingMiss(Refusal):
    """No recording answers this call. The text is the whole report."""

    code = "recording_miss"

    def __init__(self, miss: Miss) -> None:
        super().__init__(miss.report)
        self.miss = miss


class BudgetSpent(Refusal):
    """The tokens that recording may cost are spent."""

    code = "recording_budget_spent"


class BadFault(Refusal):
    """The fault that a header asks for cannot be understood."""

    status = 400
    code = "invalid_fault"

    def __init__(self, wrong: FaultError) -> None:
        super().__init__(f"The header X-Antiphon-Fault cannot be used. {str(wrong)[:1].upper()}{str(wrong)[1:]}")
