"""How soon recordings are at hand: the index made from the files, and the index that was kept."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from bench.fleet import BenchError, environment
from bench.report import Line
from bench.tape import library
from bench.tape.bounds import COLD_MS, INDEX_FILES, WARM_MS
from bench.tape.field import Field, Scenario, turned

_ROOT = Path(__file__).resolve().parents[2]


class Opening(Scenario):
    """A fresh process opens a directory. Cold: no index is kept. (The files are in the page cache either way.)"""

    name = "index"

    def __init__(self, field_: Field) -> None:
        super().__init__(field_)
        self.places: dict[str, tuple[int, Path]] = {}

    def prepare(self) -> None:
        f, many = self.field, INDEX_FILES
        if library.corpus():
            self.places["corpus"] = many, f.place("imported corpus", library.imported, many)
            if f.sizes.in_place:
                self.places["in place"] = many, f.place("corpus in place", library.in_place, many)
        else:
            f.notes.append("The real recordings are not beside this checkout: the index was measured on made-up ones.")
            self.places["corpus"] = many, f.place(f"{many} recordings", library.shelf, many)
        for count in f.sizes.openings:
            self.places[f"{count}"] = (
                count,
                f.place(f"{count} recordings", library.shelf, count),
            )

    def round(self, k: int) -> None:
        if k >= self.field.sizes.slow_rounds:
            return
        for name in turned(list(self.places), k):
            count, place = self.places[name]
            (place / ".tape" / "index").unlink(missing_ok=True)
            for heat in ("cold", "warm"):
                told = self._open(place)
                if told["found"] != count or told["unreadable"]:
                    raise BenchError(f"of {count} recordings in {name} {told['found']} were found")
                self.samples[f"antiphon: {name} {heat}"].append(told["cpu"])
                self.samples[f"antiphon: {name} {heat} wall"].append(told["wall"])

    def _open(self, place: Path) -> dict[str, float]:
        done = subprocess.run(
            [sys.executable, "-m", "bench.tape.open", str(place)],
            cwd=_ROOT,
            env=environment(),
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        if done.returncode:
            raise BenchError(f"a directory could not be opened: {done.stderr[-500:]}")
        told: dict[str, float] = json.loads(done.stdout)
        return told

    def lines(self) -> list[Line]:
        what = {"corpus": "the corpus, imported", "in place": "the corpus, in place"}
        out = []
        for name, (count, _) in self.places.items():
            for heat, limit in (("cold", COLD_MS), ("warm", WARM_MS)):
                column = f"antiphon: {name} {heat}"
                out.append(
                    self.line(
                        f"index of {count:,} files ({what.get(name, 'as above')}), {heat}",
                        "ms CPU",
                        column,
                        limit=limit if count == INDEX_FILES else None,
                        note=f"(wall {self.middle(f'{column} wall'):,.0f})",
                    )
                )
        return out
