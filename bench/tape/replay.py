"""What a replayed call costs: in the client's process, through the proxy, through the server, and in vcrpy."""

from __future__ import annotations

from bench.report import Line
from bench.tape import library
from bench.tape.bounds import REPLAY_US
from bench.tape.field import Field, Proxy, Scenario, Server, TooLong, Worker, pick, turned
from bench.tape.questions import RECORDED_URL
from bench.tape.worker import Cost, Job


class Inside(Scenario):
    """In the client's own process: CPU beside a replay that finds its answer for nothing."""

    name = "replay"

    def __init__(self, field_: Field) -> None:
        super().__init__(field_)
        self.workers: dict[str, Worker] = {}
        self.counts: dict[str, int] = {}

    def prepare(self) -> None:
        f = self.field
        self._add("floor", f.keep(Worker(f.scratch, "floor")), f.sizes.recordings[-1])
        for count in f.sizes.recordings:
            place = f.place(f"{count} recordings", library.shelf, count)
            self._add(f"antiphon: {count}", f.keep(Worker(f.scratch, "ours", place)), count)
        for count in f.sizes.rivals:
            path = f.place(f"{count} in a cassette", library.cassette, count)
            column = f"vcrpy: {count}"
            f.tell(f"loading {count} in a cassette")
            try:
                worker = f.keep(Worker(f.scratch, "vcr", path, patience_s=f.sizes.patience_s))
            except TooLong as why:
                self.lost[column] = str(why)
                continue
            self.samples[f"{column} load"].append(worker.ready_ms)
            self._add(column, worker, count)
        count = min(1000, f.sizes.rivals[-1])
        each = f.place(f"{count} cassettes", library.cassettes, count, "{}.yaml".format)
        self._add("vcrpy: each", f.keep(Worker(f.scratch, "vcr-each", each)), count)
        long = f.place("long recordings", lambda path: library.shelf(path, 100, long=True))
        self._add("floor: long", self.workers["floor"], 100)
        self._add("antiphon: long", f.keep(Worker(f.scratch, "ours", long)), 100)
        for column in list(self.workers):  # one round nobody counts
            self._ask(column, 0)

    def _add(self, column: str, worker: Worker, count: int) -> None:
        self.workers[column] = worker
        self.counts[column] = count

    def _ask(self, column: str, k: int) -> Cost | None:
        sizes = self.field.sizes
        job = Job(
            url=RECORDED_URL,
            numbers=pick(k, sizes.calls, self.counts[column]),
            seconds=sizes.batch_s,
            long=column.endswith("long"),
        )
        try:
            return self.workers[column].ask(job)
        except TooLong as why:
            self.lost[column] = str(why)
            del self.workers[column]
            return None

    def round(self, k: int) -> None:
        for column in turned(list(self.workers), k):
            cost = self._ask(column, k + 1)
            if cost is not None:
                self.samples[column].append(cost.cpu_us)
                self.samples[f"{column} wall"].append(cost.wall_us)

    def lines(self) -> list[Line]:
        sizes, unit = self.field.sizes, "µs CPU/call"
        out = []
        for count in sizes.recordings:
            what = f"replay, {count:,} recordings: in the process"
            out.append(self._line(what, unit, f"antiphon: {count}", limit=REPLAY_US))
        for count in sizes.rivals:
            column = f"vcrpy: {count}"
            load = f"; {self.middle(f'{column} load'):,.0f} ms to load" if column not in self.lost else ""
            out.append(self._line(f"replay, {count:,} recordings: one cassette", unit, column, more=load))
        out.append(self._line("replay, any number of recordings: a cassette each", unit, "vcrpy: each"))
        out.append(self._line("replay of a request of 20 kB: in the process", unit, "antiphon: long", "floor: long"))
        return out

    def _line(
        self, what: str, unit: str, column: str, base: str = "floor", *, limit: float | None = None, more: str = ""
    ) -> Line:
        note = ""
        if column not in self.lost:
            note = f"(wall {self.middle(f'{column} wall') - self.middle(f'{base} wall'):+,.0f}{more})"
        return self.line(what, unit, column, base, limit=limit, note=note)


class Through(Scenario):
    """Through the proxy and the server: what their processes spend, beside the server without a tape."""

    name = "through"

    def __init__(self, field_: Field) -> None:
        super().__init__(field_)
        self.client: Worker
        self.far: dict[str, Proxy | Server] = {}

    def prepare(self) -> None:
        f = self.field
        self.client = f.keep(Worker(f.scratch, "plain"))
        self.far["without: server"] = f.keep(Server(f.scratch, f.upstream.port, "plain"))
        for count in f.sizes.others:
            place = f.place(f"{count} recordings", library.shelf, count)
            self.far[f"proxy: {count}"] = f.keep(Proxy(f.scratch, f.upstream.port, place, "replay"))
            tape = ("--tape", str(place), "--tape-mode", "replay")
            self.far[f"server: {count}"] = f.keep(Server(f.scratch, f.upstream.port, f"replay-{count}", *tape))
        for column in self.far:
            self._ask(column, 0)

    def _ask(self, column: str, k: int) -> tuple[Cost, float]:
        count = int(column.partition(": ")[2]) if column[-1].isdigit() else 1000
        live = not column[-1].isdigit()
        numbers = pick(k, self.field.sizes.calls, count)
        job = Job(url=self.far[column].url, numbers=numbers, seconds=self.field.sizes.batch_s, live=live)
        return self.field.charged(self.far[column], lambda: self.client.ask(job))

    def round(self, k: int) -> None:
        numbers = pick(k, self.field.sizes.calls, 1000)
        direct = self.client.ask(Job(url=self.field.url, numbers=numbers, seconds=self.field.sizes.batch_s, live=True))
        self.samples["direct wall"].append(direct.wall_us)
        for column in turned(list(self.far), k):
            cost, spent = self._ask(column, k + 1)
            self.samples[column].append(spent)
            self.samples[f"{column} wall"].append(cost.wall_us)

    def lines(self) -> list[Line]:
        out = []
        direct = self.middle("direct wall")
        for name, base in (("proxy", ""), ("server", "without: server")):
            for count in self.field.sizes.others:
                column = f"{name}: {count}"
                wall = self.middle(f"{column} wall")
                note = f"(a call takes {wall:,.0f} µs, straight to the back end {direct:,.0f})"
                what = f"replay, {count:,} recordings: through the {name}"
                out.append(self.line(what, "µs CPU/call", column, base, note=note))
        return out
