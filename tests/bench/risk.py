"""Measure how well attacks do: `make risk` writes build/risk.json.

    python -m tests.bench.risk --out build/risk.json
    python -m tests.bench.risk --out x.json --rows 2000 --only graph --scheme saul-v1 --hashes 3

Controls must fall; what the default lets through is reported as it is. Written after every part, so
that a run that is broken off leaves what it has, and says under `missing` what it has not.
"""

from __future__ import annotations

import argparse
import json
import random
import secrets
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import scipy.sparse as sp

from linkage.agent.audit import law_of, tokens_of
from linkage.agent.profile import Profiler
from linkage.agreement import IdentifierField, Manifest
from linkage.agreement.draft import draft_manifest
from linkage.agreement.manifest import Minhash, Partner, Saul
from linkage.encoding import Encoder, normalise_column
from linkage.risk import (
    HARDENINGS,
    Outcome,
    Register,
    Trial,
    View,
    by_differences,
    by_law,
    by_law_grown,
    by_round,
    control_trial,
    hardened_trial,
    judge,
    pooled,
    unseeded,
)
from linkage.risk.alignment import align
from linkage.risk.graph import neighbours, percolate
from linkage.synthetic.people import make_people
from tests.bench.files import PERSON_TYPES, Habits, records
from tests.bench.linking import TERMS

PERSONAL = ("given", "surname", "birth")
TOGETHER_WORDS = 64
QUOTA, RUNS = 4, 10
BARS = {
    "control_clk_full": 0.95,
    "control_clk_20": 0.85,
    "default_graph_upper": 0.005,
    "default_homomorphism_upper": 0.005,
    "default_round_upper": 0.005,
    "default_known5000_upper": 0.03,
}


class Files:
    """A file and a register of equal size that share some people; no two people are alike.

    Attributes:
        view, register: by field, normalised values; the file's rows are in random order.
        truth: who of the register each row of the file is.
    """

    def __init__(self, rows: int, overlap: float, seed: int, *, errors: float = 0.0) -> None:
        rng, source = np.random.default_rng(seed), random.Random(seed)
        shared = round(rows * overlap)
        # A sixth has no middle name, or is somebody's namesake.
        people = make_people(round(1.3 * (2 * rows - shared)) + 200, rng)
        perfect = Habits(
            rarely=0,
            misspelt=0,
            wrong_birth=0,
            swapped=0,
            initial=0,
            nickname=0,
            renamed=0,
            moved=0,
        )
        self.fields = [IdentifierField(name=n, type=t) for n, t in PERSON_TYPES.items()]
        table = pd.DataFrame(self._cells(records(people, perfect, source)))
        table = table.dropna().drop_duplicates().reset_index(drop=True)
        table = table.drop_duplicates(list(PERSONAL)).sample(frac=1, random_state=seed)
        assert len(table) >= 2 * rows - shared
        order = rng.permutation(rows)
        left, right = table.iloc[order], table.iloc[rows - shared : 2 * rows - shared]
        if errors:
            right = self._wrong(right, errors, rng)
        self.view = {n: left[n].to_numpy(dtype=object) for n in table}
        self.register = {n: right[n].to_numpy(dtype=object) for n in table}
        self.truth = np.where(order >= rows - shared, order - (rows - shared), -1)

    def _cells(self, raw: pd.DataFrame) -> dict[str, Any]:
        return {f.name: normalise_column(f, raw[f.name].tolist()).values for f in self.fields}

    def _wrong(self, table: pd.DataFrame, errors: float, rng: np.random.Generator) -> pd.DataFrame:
        """So many values of every field are another person's."""
        found = {
            name: np.where(rng.random(len(table)) < errors, rng.permutation(column), column)
            for name, column in table.items()
        }
        return pd.DataFrame(found)

    def tokens(self, names: tuple[str, ...] = PERSONAL) -> tuple[sp.csr_matrix, sp.csr_matrix]:
        """The file's and the register's tokens, over one vocabulary."""
        both = {n: np.append(self.view[n], self.register[n]) for n in names}
        found = tokens_of([f for f in self.fields if f.name in names], both)
        return found[: len(self.truth)], found[len(self.truth) :]

    def drafted(self, scheme: Minhash | Saul) -> Manifest:
        """The manifest that partners with such files would draft."""
        profiles = []
        for name, columns in (("north", self.view), ("south", self.register)):
            profiler = Profiler(self.fields)
            profiler.add(columns)
            profiles.append(profiler.result().share(Partner(name=name, unique=True)))
        return draft_manifest(profiles, TERMS).manifest.model_copy(update={"scheme": scheme})


def encode(manifest: Manifest, columns: dict[str, Any]) -> Any:
    with Encoder(manifest, secrets.token_bytes(32), epoch=0) as encoder:
        return encoder.encode(columns, threads=2).words


def together(files: Files, manifest: Manifest) -> Trial:
    """The leading bits of all match keys side by side."""
    sides = []
    for columns in (files.view, files.register, files.register):
        words = encode(manifest, columns)
        words = words[:, :, : max(1, TOGETHER_WORDS // len(words))]
        sides.append(np.ascontiguousarray(words.transpose(1, 0, 2)).reshape(len(files.truth), -1))
    register = Register(sides[1], sides[2], files.tokens()[1])
    return Trial(View(sides[0]), register, files.truth)


def each_key(files: Files, manifest: Manifest) -> list[Trial]:
    """A trial per match key, with the scheme's law, for attacks that need no register's bits."""
    words = encode(manifest, files.view)
    none = sp.csr_matrix((len(files.truth), 1))
    return [
        Trial(
            View(words[place]),
            Register(words[place], words[place], none, law_of(manifest, key, files.register)),
            files.truth,
        )
        for place, key in enumerate(manifest.match_keys)
    ]


def graph(trial: Trial, seed: int) -> list[Outcome]:
    """The unseeded attacks on encodings."""
    aligned = align(trial.view, trial.register, np.random.default_rng(seed))
    grown = percolate(neighbours(trial.view), neighbours(trial.register.wide), aligned)
    return [judge("alignment", trial, aligned), judge("neighbours", trial, grown)]


def rounds(files: Files, trial: Trial, seed: int, quota: int) -> list[Outcome]:
    """The comparison round, honest and curious, with and without the encodings."""
    sides: list[list[sp.csr_matrix]] = [[], []]
    for field in files.fields:
        for side, found in zip(sides, files.tokens((field.name,)), strict=True):
            side.append(found)
    asked = {
        "round": {"near": True},
        "round and encodings": {"near": True, "encodings": True},
        "round, random pairs": {"near": False},
    }
    return [
        judge(
            f"{name}, {quota} pairs a row",
            trial,
            by_round(trial, *sides, quota, np.random.default_rng(seed), **how),
        )
        for name, how in asked.items()
    ]


def known(files: Files, manifest: Manifest, seed: int, told: int, asked: int) -> list[Outcome]:
    """Prediction by the scheme's law over all match keys; only a sample of rows is asked about."""
    rng = np.random.default_rng(seed)
    both = rng.permutation(np.flatnonzero(files.truth >= 0))
    rows, ask = np.sort(both[:told]), np.sort(both[told : told + asked])
    trials = each_key(files, manifest)
    others = np.setdiff1d(np.arange(len(files.truth)), ask)
    return [
        judge(f"{name}, {told} known", trials[0], predict(trials, rows, ask), others)
        for name, predict in (("law", by_law), ("law, grown", by_law_grown))
    ]


def seeded(trial: Trial, seed: int) -> Outcome:
    """Alignment with one person in twenty known: what hardened controls are held to."""
    rng = np.random.default_rng(seed)
    rows = trial.known(0.05, rng)
    guess = align(trial.view, trial.register, rng, told=rows, persons=trial.truth[rows])
    return judge("alignment, seeded", trial, guess, rows)


def main() -> None:
    """Run what was asked for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--rows", type=int, default=50_000)
    parser.add_argument("--control-rows", type=int, default=10_000)
    parser.add_argument("--round-rows", type=int, default=10_000, help="of curious rounds")
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument(
        "--only",
        nargs="*",
        default=["control", "hardened", "graph", "homomorphism", "round", "known"],
    )
    parser.add_argument("--scheme", choices=["saul-v1", "minhash-v1"], default="saul-v1")
    parser.add_argument("--bits", type=int, default=2048)
    parser.add_argument("--hashes", type=int)
    parser.add_argument("--overlaps", type=float, nargs="*", default=[1.0, 0.2, 0.05])
    parser.add_argument("--errors", type=float, default=0.0, help="share of the register's values")
    parser.add_argument("--known", type=int, default=5_000)
    parser.add_argument("--asked", type=int, default=1_000)
    asked = parser.parse_args()
    settings = {"bits": asked.bits} | ({"hashes": asked.hashes} if asked.hashes else {})
    kind = Minhash if asked.scheme == "minhash-v1" else Saul
    scheme = kind.model_validate({"name": asked.scheme, **settings})
    result: dict[str, Any] = {
        "rows": asked.rows,
        "scheme": scheme.model_dump(),
        "errors": asked.errors,
        "bars": BARS,
        "missing": [],
        "attacks": {},
    }
    asked.out.parent.mkdir(parents=True, exist_ok=True)

    def keep(name: str, run: Callable[[], list[Outcome]]) -> list[Outcome]:
        since, clock = time.process_time(), time.time()
        found = run()
        result["attacks"][name] = [
            *(o.as_json() for o in found),
            {"cpu": round(time.process_time() - since), "seconds": round(time.time() - clock)},
        ]
        print(name, json.dumps(result["attacks"][name]), flush=True)
        write()
        return found

    def write() -> None:
        result["missing"] = [name for name in BARS if name not in result]
        asked.out.write_text(json.dumps(result, indent=2) + "\n")

    def seeds(attack: Callable[[int], list[Outcome]]) -> list[Outcome]:
        every = [attack(seed) for seed in range(asked.seeds)]
        return [pooled(one) for one in zip(*every, strict=True)]

    def worst(name: str, found: list[Outcome]) -> None:
        result[name] = round(max([result.get(name, 0.0), *(o.upper for o in found)]), 6)
        write()

    def control(seed: int, overlap: float) -> Outcome:
        files = Files(asked.control_rows, overlap, seed)
        trial = control_trial(*files.tokens(), files.truth, np.random.default_rng(seed))
        return unseeded(trial, np.random.default_rng(seed))

    for name, overlap in (("control_clk_full", 1.0), ("control_clk_20", 0.2)):
        if "control" in asked.only:
            found = keep(name, lambda o=overlap: seeds(lambda s: [control(s, o)]))
            result[name] = round(found[0].rate, 4)
            write()

    def hardened(seed: int, name: str) -> Outcome:
        files = Files(asked.control_rows, 1.0, seed)
        rng = np.random.default_rng(seed)
        return seeded(hardened_trial(name, *files.tokens(), files.truth, rng), seed)

    for name in HARDENINGS if "hardened" in asked.only else ():
        found = keep(f"control_{name}", lambda n=name: seeds(lambda s: [hardened(s, n)]))
        result[f"control_{name}"] = round(found[0].rate, 4)
        write()

    def trial_of(rows: int, overlap: float, seed: int) -> tuple[Files, Trial]:
        files = Files(rows, overlap, seed, errors=asked.errors)
        return files, together(files, files.drafted(scheme))

    for overlap in asked.overlaps:
        share = round(100 * overlap)
        if "graph" in asked.only:
            found = keep(
                f"graph_{share}",
                lambda o=overlap: seeds(lambda s: graph(trial_of(asked.rows, o, s)[1], s)),
            )
            worst("default_graph_upper", found)
        if "homomorphism" in asked.only:

            def differing(seed: int, overlap: float = overlap) -> list[Outcome]:
                trial = trial_of(asked.rows, overlap, seed)[1]
                guess = by_differences(trial, np.random.default_rng(seed))
                return [judge("differences", trial, guess)]

            worst(
                "default_homomorphism_upper",
                keep(f"homomorphism_{share}", lambda: seeds(differing)),
            )
        if "round" in asked.only:
            for rows, quota in ((asked.rows, QUOTA), (asked.round_rows, QUOTA * RUNS)):
                found = keep(
                    f"round_{share}_{quota}_pairs",
                    lambda o=overlap, r=rows, q=quota: seeds(
                        lambda s: rounds(*trial_of(r, o, s), s, q)
                    ),
                )
                worst("default_round_upper", found)
    if "known" in asked.only:

        def predicted(seed: int) -> list[Outcome]:
            files = Files(asked.rows, 1.0, seed, errors=asked.errors)
            return known(files, files.drafted(scheme), seed, asked.known, asked.asked)

        worst("default_known5000_upper", keep("known", lambda: seeds(predicted)))


if __name__ == "__main__":
    main()
