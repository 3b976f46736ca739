"""What privacy costs: schemes and parameters attacked and linked, cell by cell.

    python -m tests.bench.frontier --out build/frontier.json --minutes 30
    python -m tests.bench.frontier --out build/frontier.json --plot docs/explanation/img
    python -m tests.bench.frontier --out build/frontier.json --table

The most telling cells come first, and each is written when it is done: a run that is broken off
goes on where it stopped, and `missing` names what was never measured. Secrets are drawn from the
seed, so that a cell measured again is the same.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

import numpy as np

from linkage.agreement import Manifest
from linkage.risk import Outcome
from tests.bench import files, frontier_pages, linking
from tests.bench.attacked import Case, Told, encode, graph, homomorphism, known, seeded, together
from tests.bench.registers import Febrl, Files
from tests.bench.settings import CORE, EVERY, LARGE, MADE, RULED, Setting

SEEDS = (0, 1, 2)
"""The later ones for those settings alone that are attacked in large files: whether an attack finds
a start at all is a matter of luck."""
KNOWN_SHARE, MOST_KNOWN, MOST_ASKED = 0.1, 5_000, 5_000
SIZES = (1_000, 5_000, 20_000, 50_000)
OVERLAPS = (1.0, 0.5, 0.2, 0.05)
ERRORS = (0.0, 0.1)
FIRST: tuple[tuple[int, float, float, int, Sequence[Setting]], ...] = (
    (1_000, 1.0, 0.0, 0, EVERY),
    (5_000, 1.0, 0.0, 0, CORE),
    (5_000, 1.0, 0.0, 0, RULED),
    (5_000, 1.0, 0.0, 1, LARGE),
    (1_000, 1.0, 0.1, 0, LARGE),
    (5_000, 0.2, 0.0, 0, LARGE),
    (20_000, 1.0, 0.0, 0, LARGE),
    (5_000, 1.0, 0.1, 0, LARGE),
    (5_000, 1.0, 0.0, 2, LARGE),
    (1_000, 0.2, 0.0, 0, CORE),
    (1_000, 1.0, 0.1, 0, CORE),
    (20_000, 0.2, 0.0, 0, LARGE),
    (50_000, 1.0, 0.0, 0, LARGE),
)
PUBLIC = {"febrl4": Febrl}
MESSY: dict[str, Callable[[], linking.Case]] = {
    "no-birth-40": lambda: next(c for c in files.hard() if c.name == "no-birth-40"),
    "surnames-replaced": lambda: next(c for c in files.hard() if c.name == "surnames-replaced"),
    "febrl4-half": files.febrl4,
}


@dataclass(frozen=True)
class Cell:
    """One attacked file.

    Attributes:
        rows: of the file and of the register; of public files as many as there are.
        overlap: share of the people who are in both.
        errors: share of the register's values that are another person's.
        seed: people, secrets and the attacks' own choices are drawn from it.
        file: made-up people, or public ones.
    """

    setting: Setting
    rows: int
    overlap: float
    errors: float
    seed: int = 0
    file: str = MADE

    @property
    def name(self) -> str:
        if self.file != MADE:
            return f"{self.setting.name}; {self.file}"
        of = f"{self.rows} rows, {self.overlap:.0%} in both, {self.errors:.0%} wrong"
        of += f", seed {self.seed}" if self.seed else ""
        return f"{self.setting.name}; {of}"


@dataclass(frozen=True)
class Linking:
    """One linked pair of files, under a manifest drafted for the scheme."""

    setting: Setting
    file: str

    @property
    def name(self) -> str:
        return f"{self.setting.name}; {self.file}"


def plan(sizes: Sequence[int] = SIZES) -> list[Cell]:
    """All cells, the most telling first; of large files and later seeds fewer settings.

    Public files come first of all: they are small, whatever the sizes.
    """
    cells = [
        Cell(setting, rows, overlap, errors, seed)
        for rows, overlap, errors, seed, settings in FIRST
        for setting in settings
    ]
    cells += [
        Cell(setting, rows, overlap, errors, seed)
        for seed in SEEDS
        for rows in SIZES
        for overlap in OVERLAPS
        for errors in ERRORS
        for setting in (LARGE if seed or rows > 5_000 else EVERY)
    ]
    public = [Cell(setting, 0, 1.0, 0.0, file=file) for file in PUBLIC for setting in CORE]
    return public + [cell for cell in dict.fromkeys(cells) if cell.rows in sizes]


def linkings() -> list[Linking]:
    """All linkages, file by file for those settings that are attacked in files of more sizes."""
    every = [Linking(setting, file) for setting in (*CORE, *RULED) for file in MESSY]
    return list(dict.fromkeys([*every, *(Linking(s, f) for s in EVERY for f in MESSY)]))


@lru_cache(maxsize=1)
def _files(file: str, rows: int, overlap: float, errors: float, seed: int) -> Files:
    return Files(rows, overlap, seed, errors=errors) if file == MADE else PUBLIC[file](seed)


@lru_cache(maxsize=1)
def _messy(file: str) -> linking.Case:
    return MESSY[file]()


def attack(cell: Cell) -> dict[str, Any]:
    """Encode and attack, all match keys together with nothing known, then with one in ten known.

    The latter by the scheme's law, of plain filters by alignment. Encoding is measured in seconds
    of processor time, of all threads.
    """
    seed = cell.seed
    drawn = _files(cell.file, cell.rows, cell.overlap, cell.errors, seed)
    manifest = cell.setting.applied(drawn.drafted_by(cell.setting.drafted_for, cell.setting.rule))
    draw = np.random.default_rng(seed).bytes
    encode(manifest, {name: column[:50] for name, column in drawn.view.items()})  # compile
    clock = time.process_time()
    encode(manifest, drawn.view)
    encoding = time.process_time() - clock
    case = Case(drawn, together(drawn, manifest, draw), seed)
    found = [*_timed(lambda: graph(case)), *_timed(lambda: homomorphism(case))]
    both = case.trial.overlap
    told = min(MOST_KNOWN, round(KNOWN_SHARE * both))
    if cell.setting.has_law:
        asked = min(MOST_ASKED, both - told)
        some = Told.of(drawn, manifest, seed, told, asked, draw)
        found += _timed(lambda: known(some, grown=False))
    else:
        found += _timed(lambda: [seeded(case, told / both)])
    unknown = [one for one in found if "known" not in one["attack"]]
    return {
        **_about(cell.setting, manifest),
        "file": cell.file,
        "rows": len(drawn.truth),
        "overlap": cell.overlap,
        "errors": cell.errors,
        "seed": seed,
        "encode_seconds": round(encoding, 3),
        "bits_seen": 64 * case.trial.view.words.shape[1],
        "attacks": found,
        "best": _best(found),
        "best_nothing_known": _best(unknown),
    }


def _timed(attacks: Callable[[], list[Outcome]]) -> list[dict[str, Any]]:
    clock = time.perf_counter()
    found = attacks()
    seconds = round(time.perf_counter() - clock, 1)
    return [one.as_json() | {"seconds": seconds} for one in found]


def _best(found: Sequence[dict[str, Any]]) -> dict[str, Any]:
    best = max(found, key=lambda one: (one["rate"], one["upper"]))
    return {name: best[name] for name in ("attack", "right", "overlap", "rate", "upper")}


def link(one: Linking) -> dict[str, Any]:
    """Link the files with a comparison round."""
    case = _messy(one.file)
    columns = {partner: linking.normalised(case, partner) for partner in case.files}
    setting = one.setting
    rule = {"scheme": setting.drafted_for, "rule": setting.rule}
    manifest = setting.applied(linking.drafted(case, columns, **rule))
    found = linking.linked(case, manifest=manifest)
    return {
        **_about(one.setting, manifest),
        "file": one.file,
        "candidate_recall": round(found.candidate_recall, 4),
        "f1": round(found.at["f1"], 4),
        "best_f1": round(found.best["f1"], 4),
    }


def _about(setting: Setting, manifest: Manifest) -> dict[str, Any]:
    keys = len(manifest.match_keys)
    return {
        "scheme": setting.scheme,
        "title": setting.title,
        "whole": setting.whole,
        "match_keys": keys,
        "bytes": keys * manifest.scheme.bits // 8,
    }


class Report:
    """What was measured so far; on disk after every cell."""

    def __init__(self, out: Path) -> None:
        self._out = out
        self.found: dict[str, Any] = {"cells": {}, "linkages": {}}
        if out.exists():
            self.found = json.loads(out.read_text())

    def measure(
        self, part: str, todo: Mapping[str, Callable[[], dict[str, Any]]], until: float
    ) -> None:
        """Whatever of `todo` is not there yet, while there is time."""
        done = self.found[part]
        for name, work in todo.items():
            if name in done:
                continue
            if time.monotonic() >= until:
                break
            clock = time.perf_counter()
            row = work()
            row |= {
                "seconds": round(time.perf_counter() - clock, 1),
                "date": datetime.now(UTC).date().isoformat(),
            }
            done[name] = row
            sys.stdout.write(f"{name}: {json.dumps(row)}\n")
            sys.stdout.flush()
            self._write()

    def missing(self, names: Sequence[str]) -> None:
        """Say which of these were never measured."""
        there = {**self.found["cells"], **self.found["linkages"]}
        self.found["missing"] = [name for name in names if name not in there]
        self._write()

    def _write(self) -> None:
        self._out.parent.mkdir(parents=True, exist_ok=True)
        written = self._out.with_suffix(".part")
        written.write_text(_lines(self.found))
        written.replace(self._out)


def _lines(found: dict[str, Any]) -> str:
    """As JSON, each cell on a line."""
    parts = []
    for part, rows in found.items():
        named = isinstance(rows, dict)
        each = [f"{json.dumps(n)}: {json.dumps(rows[n])}" if named else json.dumps(n) for n in rows]
        start, end = "{}" if named else "[]"
        parts.append(f"{json.dumps(part)}: {start}\n" + ",\n".join(each) + f"\n{end}")
    return "{\n" + ",\n".join(parts) + "\n}\n"


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("build/frontier.json"))
    parser.add_argument("--sizes", type=int, nargs="*", default=list(SIZES), choices=SIZES)
    parser.add_argument("--only", nargs="*", choices=PARTS, default=list(PARTS))
    parser.add_argument("--minutes", type=float, default=float("inf"), help="begin nothing after")
    parser.add_argument("--plot", type=Path, help="measure nothing; draw into this directory")
    parser.add_argument("--table", action="store_true", help="measure nothing; print the tables")
    asked = parser.parse_args(arguments)
    until = time.monotonic() + 60 * asked.minutes
    report = Report(asked.out)
    if asked.plot:
        frontier_pages.draw_all(report.found, asked.plot)
    if asked.table:
        sys.stdout.write(frontier_pages.tables(report.found))
    if asked.plot or asked.table:
        return
    cells, pairs = plan(asked.sizes), linkings()
    if "attacks" in asked.only:
        report.measure("cells", {one.name: partial(attack, one) for one in cells}, until)
    if "linkages" in asked.only:
        report.measure("linkages", {one.name: partial(link, one) for one in pairs}, until)
    report.missing([one.name for one in (*cells, *pairs)])


PARTS = ("attacks", "linkages")

if __name__ == "__main__":
    main()
