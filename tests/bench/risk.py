"""Measure how well attacks do: `make risk` writes build/risk.json.

    python -m tests.bench.risk --out build/risk.json
    python -m tests.bench.risk --out x.json --rows 2000 --only graph --scheme saul-v1 --hashes 3

- The run ends with 1 where a control did not fall or was not made, as then nothing is proven, and
  where the whole measurement finds a bar exceeded.
- How many seeds a part takes is fixed before it begins: stopping at the first that looks well would
  make bounds too small. Each seed's outcome stands beside the pooled one.
- Written after every part, so that a run that is broken off leaves what it has, and says under
  `missing` what it has not.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from linkage.agreement.manifest import Minhash, Saul
from linkage.agreement.scheme import MOST_PAIRS
from linkage.risk import (
    HARDENINGS,
    Outcome,
    control_trial,
    hardened_trial,
    judge,
    pooled,
    unseeded,
)
from linkage.risk.known import by_tokens
from linkage.risk.threads import limited
from tests.bench.attacked import (
    CONTROL_ROUND,
    PAIRS,
    TOGETHER_WORDS,
    Case,
    Told,
    chosen,
    control_round,
    graph,
    homomorphism,
    known,
    known_pairs,
    patterns,
    rounds,
    seeded,
    together,
)
from tests.bench.registers import Files

BEYOND = ((PAIRS, 5_000, 100), (8, 2_000, 10), (12, 2_000, 10))
"""Pairs a row, people and groups. The first counts: among so few all pairs of people are looked at,
a stronger search than along what rows share. What more pairs would tell is reported only."""
FEW, SEEDS_OF_FEW = 2_000, 3
"""Of so few people in both, several seeds are attacked: the bound after one would be loose."""
FEW_TOLD = 0.1
"""Attacks with known pairs are made with so many of those told, too."""
PROCESSES = 2
PARTS = ("control", "hardened", "graph", "homomorphism", "round", "chosen", "seeded", "known")
SIZES = {
    "rows": (50_000, 1_500),
    "control_rows": (10_000, 2_500),
    "round_rows": (10_000, 800),
    "groups": (300, 20),
    "beyond_rows": (5_000, 400),
    "known": (5_000, 150),
}
"""In full, and quick."""
CONTROLS = {
    "control_clk_full": 0.95,
    "control_clk_20": 0.85,
    "control_patterns": 0.9,
    "control_round": 0.7,
} | {f"control_{name}": 0.9 for name in HARDENINGS}
BARS = {
    "control_clk_full": 0.95,
    "control_clk_20": 0.85,
    "default_graph_upper": 0.005,
    "default_homomorphism_upper": 0.005,
    "default_round_upper": 0.005,
    "default_known5000_upper": 0.03,
}
NAMES = tuple(dict.fromkeys((*BARS, *CONTROLS)))


class Report:
    """The figures so far; on disk after every part, and added to by several processes."""

    def __init__(self, out: Path, lock: Any) -> None:
        self._out, self._lock = out, lock

    def begin(self, about: dict[str, Any]) -> None:
        self._out.parent.mkdir(parents=True, exist_ok=True)
        self._write(about | {"bars": BARS, "missing": list(NAMES), "attacks": {}})

    def part(
        self, name: str, attack: Callable[[int], list[Outcome]], seeds: int = 1
    ) -> list[Outcome]:
        """An attack's outcomes under so many seeds, pooled."""
        since, clock = time.process_time(), time.time()
        every = [attack(seed) for seed in range(seeds)]
        found = [pooled(one) for one in zip(*every, strict=True)]
        took = {
            "cpu": round(time.process_time() - since),
            "seconds": round(time.time() - clock),
        }
        each = [
            outcome.as_json() | {"right_by_seed": [o.right for o in seeded]}
            for outcome, seeded in zip(found, zip(*every, strict=True), strict=True)
        ]
        with self._open() as report:
            report["attacks"][name] = [*each, took]
        print(name, json.dumps(each), json.dumps(took), flush=True)
        return found

    def set(self, name: str, value: float) -> None:
        with self._open() as report:
            report[name] = round(value, 6)

    def worst(self, name: str, found: list[Outcome]) -> None:
        with self._open() as report:
            worst = max([report.get(name, 0.0), *(o.upper for o in found)])
            report[name] = round(worst, 6)

    @contextmanager
    def _open(self) -> Iterator[dict[str, Any]]:
        with self._lock:
            found = json.loads(self._out.read_text())
            yield found
            found["missing"] = [name for name in NAMES if name not in found]
            self._write(found)

    def _write(self, found: dict[str, Any]) -> None:
        self._out.write_text(json.dumps(found, indent=2) + "\n")

    def failures(self, *, whole: bool) -> list[str]:
        """Why nothing is proven, or what is exceeded; of a part of the measurement no bars."""
        found = json.loads(self._out.read_text())
        weak = [
            f"harness too weak: {name} was not broken, so nothing is proven"
            if name in found
            else f"nothing is proven: {name} was not made"
            for name, floor in CONTROLS.items()
            if found.get(name, 0.0) < floor
        ]
        if not whole:
            return weak
        above = [
            name for name, bar in BARS.items() if name.startswith("default_") and found[name] > bar
        ]
        return weak + [f"{name} is {found[name]}, above {BARS[name]}" for name in above]


class Attacks:
    """The parts of the measurement, by name."""

    def __init__(self, asked: argparse.Namespace, scheme: Minhash | Saul, report: Report) -> None:
        self._asked, self._scheme, self._report = asked, scheme, report

    def control(self) -> None:
        def attacked(overlap: float) -> Callable[[int], list[Outcome]]:
            def run(seed: int) -> list[Outcome]:
                files = Files(self._asked.control_rows, overlap, seed)
                rng = np.random.default_rng(seed)
                return [unseeded(control_trial(*files.tokens(), files.truth, rng), rng)]

            return run

        for name, overlap in (("control_clk_full", 1.0), ("control_clk_20", 0.2)):
            self._report.set(name, self._report.part(name, attacked(overlap))[0].rate)
        name = "control_round"
        found = self._report.part(
            name, lambda seed: control_round(self._case(CONTROL_ROUND, 1.0, seed))
        )
        self._report.set(name, found[0].rate)
        name, rows = "control_patterns", min(self._asked.control_rows, 5_000)
        found = self._report.part(name, lambda seed: patterns(rows, seed))
        self._report.set(name, found[0].rate)

    def hardened(self) -> None:
        def attacked(name: str) -> Callable[[int], list[Outcome]]:
            def run(seed: int) -> list[Outcome]:
                files = Files(self._asked.control_rows, 1.0, seed)
                rng = np.random.default_rng(seed)
                trial = hardened_trial(name, *files.tokens(), files.truth, rng)
                return [seeded(Case(files, trial, seed))]

            return run

        for name in HARDENINGS:
            found = self._report.part(f"control_{name}", attacked(name))
            self._report.set(f"control_{name}", found[0].rate)

    def unknown(self, overlap: float) -> None:
        """Graph, homomorphism and round; one file and register at a time serves all three."""
        share, rows = round(100 * overlap), self._asked.rows
        case = cache(lambda seed: self._case(rows, overlap, seed))
        both = rows * overlap
        self._judged("graph", f"graph_{share}", lambda s: graph(case(s)), both)
        self._judged("homomorphism", f"homomorphism_{share}", lambda s: homomorphism(case(s)), both)
        self._judged("round", f"round_{share}_{PAIRS}_pairs", lambda s: rounds(case(s)), both)
        # Of whom only some rows are in the register no groups are looked for.
        if overlap == 1 and "chosen" in self._asked.only:
            found = self._report.part(
                f"round_chosen_{PAIRS}_pairs",
                lambda seed: chosen(case(seed), PAIRS, self._asked.groups),
                self._asked.seeds or 1,
            )
            self._report.worst("default_round_upper", found)

    def most_pairs(self, overlap: float) -> None:
        """Rounds of as many pairs a row as nobody is warned of, among fewer people."""
        rows, name = self._asked.round_rows, f"round_{round(100 * overlap)}_{MOST_PAIRS}_pairs"
        attack = lambda seed: rounds(self._case(rows, overlap, seed), MOST_PAIRS)  # noqa: E731
        self._judged("round", name, attack, rows * overlap)

    def all_bits(self) -> None:
        """The graph attacks on every bit of fewer records: elsewhere they see the leading ones."""
        rows = self._asked.round_rows
        attack = lambda s: graph(self._case(rows, 1.0, s, words=None))  # noqa: E731
        self._judged("graph", "graph_100_all_bits", attack, rows)

    def seeded(self) -> None:
        """The same attacks with known pairs, which need no law."""
        rows, fewer = self._asked.rows, self._asked.round_rows
        share = self._asked.known / rows

        def attack(seed: int) -> list[Outcome]:
            case, small = self._case(rows, 1.0, seed), self._case(fewer, 1.0, seed).trial
            told = small.known(share, np.random.default_rng(seed))
            name, guess = f"tokens, {len(told)} known", by_tokens(small, told)
            learned = judge(name, small, guess, told, told=len(told))
            return [seeded(case, FEW_TOLD * share), seeded(case, share), learned]

        found = self._report.part("seeded", attack, self._seeds(rows))
        self._report.worst("default_known5000_upper", found)

    def chosen(self) -> None:
        """A hub that chooses its pairs, among fewer people and with more pairs a row."""

        def attacked(rows: int, pairs: int, groups: int) -> Callable[[int], list[Outcome]]:
            return lambda seed: chosen(self._case(rows, 1.0, seed), pairs, groups)

        for pairs, people, groups in BEYOND:
            rows = min(people, self._asked.beyond_rows)
            name = f"round_chosen_{pairs}_pairs_{rows}"
            found = self._report.part(name, attacked(rows, pairs, groups))
            if pairs == PAIRS:
                self._report.worst("default_round_upper", found)

    def _judged(
        self, part: str, name: str, attack: Callable[[int], list[Outcome]], both: float
    ) -> None:
        if part in self._asked.only:
            found = self._report.part(name, attack, self._seeds(both))
            self._report.worst(f"default_{part}_upper", found)

    def _seeds(self, both: float) -> int:
        return self._asked.seeds or (SEEDS_OF_FEW if both < FEW else 1)

    def known(self) -> None:
        asked = self._asked

        @cache
        def told(seed: int) -> Told:
            files = Files(asked.rows, 1.0, seed, errors=asked.errors)
            return Told.of(files, files.drafted(self._scheme), seed, asked.known, asked.asked)

        def compared(seed: int) -> list[Outcome]:
            everybody, aimed_at = known_pairs(told(seed))
            reached_at.append(aimed_at)
            return everybody

        bar, reached_at = "default_known5000_upper", list[list[Outcome]]()
        seeds = self._seeds(asked.asked)
        self._report.worst(bar, self._report.part("known", lambda seed: known(told(seed)), seeds))
        self._report.worst(bar, self._report.part("known_pairs", compared, seeds))
        # Whom a hub aims at it names more often; it cannot aim at everybody.
        self._report.part("known_pairs_reached", reached_at.__getitem__, seeds)

    def _case(
        self, rows: int, overlap: float, seed: int, words: int | None = TOGETHER_WORDS
    ) -> Case:
        files = Files(rows, overlap, seed, errors=self._asked.errors)
        trial = together(files, files.drafted(self._scheme), words=words)
        return Case(files, trial, seed)


def attacked(attacks: Attacks, name: str, arguments: tuple[float, ...]) -> None:
    """One piece of work, in a process of its own."""
    with limited(1):
        getattr(attacks, name)(*arguments)


def main() -> int:
    """Run what was asked for; 1 where nothing is proven, or a bar is exceeded."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--quick", action="store_true", help="small files: minutes, no bars held")
    parser.add_argument("--rows", type=int)
    parser.add_argument("--control-rows", type=int)
    parser.add_argument("--round-rows", type=int, help="of rounds with three partners")
    parser.add_argument("--beyond-rows", type=int, help="where all pairs of people are looked at")
    parser.add_argument("--groups", type=int, help="of rows whose pairs the hub chooses")
    parser.add_argument(
        "--seeds", type=int, help=f"by default one, or {SEEDS_OF_FEW} of fewer than {FEW:,} people"
    )
    parser.add_argument("--only", nargs="*", choices=PARTS, default=list(PARTS))
    parser.add_argument("--scheme", choices=["minhash-v1", "saul-v1"], default="minhash-v1")
    parser.add_argument("--bits", type=int, default=2048)
    parser.add_argument("--hashes", type=int)
    parser.add_argument("--overlaps", type=float, nargs="*", default=[1.0, 0.2, 0.05])
    parser.add_argument("--errors", type=float, default=0.0, help="share of the register's values")
    parser.add_argument("--known", type=int)
    parser.add_argument("--asked", type=int, default=5_000)
    asked = parser.parse_args()
    for name, (full, quick) in SIZES.items():
        if getattr(asked, name) is None:
            setattr(asked, name, quick if asked.quick else full)
    settings = {"bits": asked.bits} | ({"hashes": asked.hashes} if asked.hashes else {})
    kind = Minhash if asked.scheme == "minhash-v1" else Saul
    scheme = kind.model_validate({"name": asked.scheme, **settings})
    started = time.time()
    about = {
        "rows": asked.rows,
        "known": asked.known,
        "scheme": scheme.model_dump(),
        "errors": asked.errors,
    }
    # Attacks run on one thread each, so two processes have two cores; the longest come first.
    context = multiprocessing.get_context("spawn")
    with context.Manager() as manager:
        report = Report(asked.out, manager.Lock())
        report.begin(about)
        work: list[tuple[str, tuple[float, ...]]] = [("unknown", (o,)) for o in asked.overlaps]
        if "round" in asked.only:
            work += [("most_pairs", (o,)) for o in sorted(asked.overlaps)]
        work += [(name, ()) for name in ("seeded", "chosen", "known") if name in asked.only]
        work += [("all_bits", ())] if "graph" in asked.only else []
        work += [(name, ()) for name in ("hardened", "control") if name in asked.only]
        with ProcessPoolExecutor(PROCESSES, mp_context=context) as pool:
            each = [pool.submit(attacked, Attacks(asked, scheme, report), *piece) for piece in work]
            for one in each:
                one.result()
        report.set("minutes", (time.time() - started) / 60)
    failures = report.failures(whole=not asked.quick and set(asked.only) == set(PARTS))
    for failure in failures:
        print(failure, file=sys.stderr)
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
