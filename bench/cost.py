"""CPU scenarios: what a request and a token cost the server, beside a forwarder of bytes."""

from __future__ import annotations

from bench.field import Scenario, Target, turned
from bench.report import Compare, Line
from bench.script import Script

# The bounds of this project. A figure above one fails the run.
TOK100_RATIO = 1.8
TOK1_RATIO = 20.0
STORE_US = 100.0
# The floor is only a floor when a proxy written in C is hardly cheaper.
FLOOR_RATIO = 1.15


class _Cost(Scenario):
    """CPU of the server beside that of the floor, of the floor beside that of haproxy, and of the libraries alone."""

    unit = ""
    what = ""
    limit: float | None = None
    check_floor = True
    show_libraries = False

    def cost(self, target: Target) -> float:
        """CPU microseconds per unit."""
        raise NotImplementedError

    def round(self, k: int) -> None:
        f = self.field
        haproxy, libraries = f.haproxy if self.check_floor else None, f.stack if self.show_libraries else None
        for target in turned([f.floor, haproxy, libraries, f.server], k):
            self.samples[target.name].append(self.cost(target))

    def lines(self) -> list[Line]:
        found = [self._beside("floor", "server", self.what, self.limit)]
        if self.samples["libraries"]:
            found.append(self._beside("floor", "libraries", "of that, the libraries"))
        if self.samples["haproxy"]:
            found.append(self._beside("haproxy", "floor", "the floor itself", FLOOR_RATIO))
        return found

    def _beside(self, base: str, subject: str, what: str, limit: float | None = None) -> Line:
        return Line(
            name=f"{self.name}: {what}",
            unit=self.unit,
            base=self.samples[base],
            base_name=base,
            subject=self.samples[subject],
            subject_name=subject,
            limit=limit,
        )


class OneToken(_Cost):
    """One-token streamed requests: the fixed price of a request, storing included."""

    name, what, unit, limit = "tok1", "one-token stream, CPU", "µs/request", TOK1_RATIO
    show_libraries = True

    def cost(self, target: Target) -> float:
        sizes = self.field.sizes
        _, used = self.field.measure(target, Script(1), requests=sizes.one_token, connections=sizes.concurrency)
        return used / sizes.one_token


class LongStreams(_Cost):
    """100-token streams at 200 tokens a second: the price of a token, its share of the request included."""

    name, what, unit = "tok100", "100-token stream, CPU", "µs/token"
    limit: float | None = TOK100_RATIO
    script = Script(100)

    def cost(self, target: Target) -> float:
        sizes, script = self.field.sizes, self.script
        result, used = self.field.measure(target, script, requests=sizes.long_streams, connections=sizes.concurrency)
        self.field.merged.append(result.reads_per_delta)
        return used / (sizes.long_streams * script.tokens)


class SteppedStreams(LongStreams):
    """The same, all streams ticking at once as those of one inference engine do.

    The floor then pays for one wake-up where it paid for thirty-two, so what is left is the server's own work: the
    ratio is far higher and the microseconds are fewer. Told beside the bound, so that nobody takes the one for the
    other.
    """

    name, what, check_floor = "step100", "the same, streams in step", False
    limit = None
    script = Script(100, step=True)


class NotStreaming(_Cost):
    """One-token requests answered as one JSON body."""

    name, what, unit, check_floor = "ns", "one-token JSON answer, CPU", "µs/request", False

    def cost(self, target: Target) -> float:
        sizes = self.field.sizes
        _, used = self.field.measure(
            target, Script(1), requests=sizes.one_token, connections=sizes.concurrency, stream=False
        )
        return used / sizes.one_token


class Store(Scenario):
    """What storing a response costs: the same one-token request with ``store`` true and false."""

    name = "store"

    def round(self, k: int) -> None:
        f = self.field
        for store in (True, False) if k % 2 else (False, True):
            _, used = f.measure(
                f.server,
                Script(1),
                requests=f.sizes.one_token,
                connections=f.sizes.concurrency,
                store=store,
            )
            self.samples[str(store)].append(used / f.sizes.one_token)

    def lines(self) -> list[Line]:
        return [
            Line(
                name="store: one-token stream, true - false, CPU",
                unit="µs/request",
                base=self.samples["False"],
                base_name="false",
                subject=self.samples["True"],
                subject_name="true",
                compare=Compare.DIFFERENCE,
                limit=STORE_US,
            )
        ]
