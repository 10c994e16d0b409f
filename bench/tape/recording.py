"""What recording costs: the first token's delay, CPU, and room on disk."""

from __future__ import annotations

import importlib
from typing import Any

from antiphon.tape import document
from antiphon.tape.model import Exchange, HttpRequest
from bench import stats
from bench.report import Line
from bench.script import Script
from bench.tape import library
from bench.tape.bounds import CHUNK_BYTES, FIRST_TOKEN_MS, LONG, LONG_CHUNK_BYTES
from bench.tape.field import Field, Proxy, Scenario, Server, Worker, turned
from bench.tape.worker import Cost, Job

#: A stream whose first token leaves at once and whose last comes 100 ms later, so that holding it back shows.
_PACED = Script(6, 50)
_QUICK_RATE = 2000


class Recording(Scenario):
    """Live calls that are recorded, beside the same calls that are not."""

    name = "record"

    def __init__(self, field_: Field) -> None:
        super().__init__(field_)
        self.asked = 0
        self.bare: Worker
        self.ways: dict[str, tuple[Worker, str]] = {}

    def prepare(self) -> None:
        f = self.field
        self.bare = f.keep(Worker(f.scratch, "plain"))
        port = f.upstream.port
        proxy = f.keep(Proxy(f.scratch, port, f.scratch / "recorded-by-proxy", "record"))
        tape = ("--tape", str(f.scratch / "recorded-by-server"), "--tape-mode", "record")
        server = f.keep(Server(f.scratch, port, "record", *tape))
        self.ways = {
            "bare": (self.bare, f.url),
            "antiphon": (f.keep(Worker(f.scratch, "ours-recording", f.scratch / "recorded-inside")), f.url),
            "proxy": (self.bare, proxy.url),
            "server": (self.bare, server.url),
            "vcrpy": (f.keep(Worker(f.scratch, "vcr-recording", f.scratch / "recorded-by-vcrpy")), f.url),
        }
        for way in self.ways:
            self._ask(way, 3, "")
            self._ask(way, 2, _PACED.model)

    def _ask(self, way: str, count: int, stream: str) -> Cost:
        """So many questions that nobody has asked before."""
        worker, url = self.ways[way]
        numbers = list(range(self.asked, self.asked + count))
        self.asked += count
        return worker.ask(Job(url=url, numbers=numbers, live=True, stream=stream))

    def round(self, k: int) -> None:
        sizes = self.field.sizes
        for way in turned(list(self.ways), k):
            cost = self._ask(way, sizes.first_streams, _PACED.model)
            self.samples[f"{way}: first"].append(stats.median(cost.first_ms))
        for way in turned(["bare", "antiphon", "vcrpy"], k):
            self.samples[f"{way}: json"].append(self._ask(way, sizes.records, "").cpu_us)
            cost = self._ask(way, sizes.record_streams, Script(100, _QUICK_RATE).model)
            self.samples[f"{way}: stream"].append(cost.cpu_us)

    def lines(self) -> list[Line]:
        where = {
            "antiphon": "in the process",
            "proxy": "through the proxy",
            "server": "through the server",
            "vcrpy": "a cassette each",
        }
        out = []
        for way, what in where.items():
            limit = None if way == "vcrpy" else FIRST_TOKEN_MS
            out.append(
                self.line(
                    f"first token while recording: {what}", "ms (p50)", f"{way}: first", "bare: first", limit=limit
                )
            )
        for kind, what in (("json", "a JSON answer"), ("stream", "a stream of 100 tokens")):
            out += [
                self.line(f"record {what}: {where[way]}", "µs CPU/call", f"{way}: {kind}", f"bare: {kind}")
                for way in ("antiphon", "vcrpy")
            ]
        return out


class Room(Scenario):
    """Bytes on disk for each chunk of a recorded stream."""

    name = "bytes"
    once = True

    def __init__(self, field_: Field) -> None:
        super().__init__(field_)
        self.counts: dict[str, int] = {}

    def round(self, k: int) -> None:
        self._corpus()
        for tokens in self.field.sizes.stream_chunks:
            # Beside the tokens: the role, the finish and the usage.
            chunks = tokens + 3
            for kind, column in (("ours-recording", "antiphon"), ("vcr-recording", "vcrpy")):
                place = self.field.scratch / f"room-{kind}-{tokens}"
                worker = Worker(self.field.scratch, kind, place)
                try:
                    worker.ask(Job(url=self.field.url, numbers=[1], live=True, stream=Script(tokens, 1000).model))
                finally:
                    worker.stop()
                path = next(path for path in place.rglob("*") if path.suffix in (".json", ".yaml"))
                room = _section(path.read_bytes()) if column == "antiphon" else _body(path.read_text())
                self.samples[f"{column}: {tokens}"].append(room / chunks)
                self.counts[f"{column}: {tokens}"] = path.stat().st_size

    def _corpus(self) -> None:
        """The streams of the corpus: the section that holds them, as ours, and as the body of a cassette."""
        for name, least in (("corpus", 1), ("long", LONG)):
            streams = [(count, response) for count, response in library.streams() if count >= least]
            if not streams:
                continue
            chunks = sum(count for count, _ in streams)
            self.counts[name] = chunks
            ours = theirs = 0
            dump = _yaml().serialize
            for _, response in streams:
                ours += _section(document.dump(Exchange(HttpRequest("POST", "/"), response))[0])
                theirs += len(dump({"string": response.content.decode()}).encode())
            self.samples[f"antiphon: {name}"].append(ours / chunks)
            self.samples[f"vcrpy: {name}"].append(theirs / chunks)

    def lines(self) -> list[Line]:
        rows: list[tuple[str, str, float | None]] = [
            (f"{n}", f"a stream of {n:,} tokens", LONG_CHUNK_BYTES if n >= LONG else None)
            for n in self.field.sizes.stream_chunks
        ]
        if "corpus" in self.counts:
            rows.append(("corpus", f"the {self.counts['corpus']:,} chunks of the corpus", CHUNK_BYTES))
        if "long" in self.counts:
            rows.append(("long", f"{self.counts['long']:,} of them in streams of {LONG} or more", LONG_CHUNK_BYTES))
        out = []
        for column, what, limit in rows:
            for who in ("antiphon", "vcrpy"):
                size = self.counts.get(f"{who}: {column}")
                note = f"({size:,} bytes with the request and all)" if size else ""
                bound = limit if who == "antiphon" else None
                out.append(self.line(f"bytes, {what}", "B/chunk", f"{who}: {column}", limit=bound, note=note))
        return out


def _section(data: bytes) -> int:
    """The part of our file that holds the stream."""
    return data.rindex(b"\n }\n}\n") - data.index(b'\n  "stream": ')


def _body(cassette: str) -> int:
    """The part of a cassette that holds the stream."""
    form = _yaml()
    return len(form.serialize(form.deserialize(cassette)["interactions"][0]["response"]["body"]).encode())


def _yaml() -> Any:
    return importlib.import_module("vcr.serializers.yamlserializer")
