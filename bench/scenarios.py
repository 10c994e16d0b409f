"""Every scenario by its name, in the order of the table. Rounds of all of them interleave.

Inside a round every target gets the same job, one right after the other, starting with another one each time.
"""

from __future__ import annotations

from bench.cost import LongStreams, NotStreaming, OneToken, SteppedStreams, Store
from bench.field import Scenario
from bench.latency import FirstToken, Hold
from bench.life import Idle, Start

SCENARIOS: dict[str, type[Scenario]] = {
    s.name: s for s in (OneToken, LongStreams, SteppedStreams, Store, NotStreaming, FirstToken, Hold, Idle, Start)
}
