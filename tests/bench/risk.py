"""Measure how well the audit's attacks do: `make risk` writes build/risk.json.

    python -m tests.bench.risk --out build/risk.json --rows 10000 --seeds 1

Controls must fall; what the default scheme lets through is reported as it is. Written after every
step, so that a run that is broken off leaves what it has.
"""

from __future__ import annotations

import argparse
import json
import secrets
import time
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import scipy.sparse as sp

from linkage.agent.audit import tokens_of
from linkage.agreement import Manifest, parse_manifest
from linkage.encoding import Encoder, normalise_column
from linkage.risk import Register, Trial, View, attack, control_trial, pooled, unseeded
from linkage.synthetic.people import make_people

FIELDS = [
    {"name": "given", "type": "given_name"},
    {"name": "surname", "type": "surname"},
    {"name": "dob", "type": "date_of_birth"},
]
MISSING = (
    "XOR-folded, Rule 90, balanced, flipped and diffused controls",
    "homomorphism",
    "pattern mining",
    "the comparison round",
    "register errors",
)


def manifest(bits: int, hashes: int) -> Manifest:
    """One match key of names and birth date under `saul-v1`."""
    document = {
        "linkage": "manifest/1",
        "project": "risk",
        "title": "T",
        "purpose": "P",
        "legal_basis": "L",
        "expires": "2099-01-01",
        "partners": [{"name": "north"}, {"name": "south"}],
        "recipients": [{"name": "bureau", "role": "assembler"}],
        "fields": FIELDS,
        "match_keys": [{"name": "name_dob", "fields": ["given", "surname", "dob"]}],
        "scheme": {"name": "saul-v1", "bits": bits, "hashes": hashes},
    }
    return parse_manifest(json.dumps(document).encode())


class Files:
    """A file and a register of equal size that share some people; no two people are alike.

    Attributes:
        view, register: by field, normalised values; the file's rows are in random order.
        truth: who of the register each row of the file is.
    """

    def __init__(self, rows: int, overlap: float, seed: int) -> None:
        rng = np.random.default_rng(seed)
        shared = round(rows * overlap)
        people = make_people(int(2.4 * rows) + 100, rng)
        raw = pd.DataFrame(
            {
                "given": people["given"],
                "surname": people["surname"],
                "dob": people["birth"].dt.strftime("%Y-%m-%d"),
            }
        )
        fields = manifest(2048, 3).fields
        columns = {f.name: normalise_column(f, raw[f.name].tolist()).values for f in fields}
        table = pd.DataFrame(columns).drop_duplicates().sample(frac=1, random_state=seed)
        assert len(table) >= 2 * rows - shared
        order = rng.permutation(rows)
        left = table.iloc[order]
        right = table.iloc[rows - shared : 2 * rows - shared]
        self.fields = fields
        self.view = {f.name: left[f.name].to_numpy(dtype=object) for f in fields}
        self.register = {f.name: right[f.name].to_numpy(dtype=object) for f in fields}
        self.truth = np.where(order >= rows - shared, order - (rows - shared), -1)

    def tokens(self) -> tuple[sp.csr_matrix, sp.csr_matrix]:
        """The file's and the register's tokens, over one vocabulary."""
        names = self.view
        both = {n: np.append(self.view[n], self.register[n]) for n in names}
        found = tokens_of(self.fields, both)
        return found[: len(self.truth)], found[len(self.truth) :]


def control(rows: int, overlap: float, seed: int) -> Trial:
    files = Files(rows, overlap, seed)
    return control_trial(*files.tokens(), files.truth, np.random.default_rng(seed))


def saul(rows: int, overlap: float, seed: int, *, bits: int, hashes: int) -> Trial:
    files, agreed = Files(rows, overlap, seed), manifest(bits, hashes)

    def encode(columns: dict[str, Any]) -> Any:
        with Encoder(agreed, secrets.token_bytes(32), epoch=0) as encoder:
            return encoder.encode(columns).words[0]

    register = Register(encode(files.register), encode(files.register), files.tokens()[1])
    return Trial(View(encode(files.view)), register, files.truth)


def main() -> None:
    """Run what was asked for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--rows", type=int, default=10_000)
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--only", nargs="*", default=["control_full", "control_20", "default"])
    parser.add_argument("--bits", type=int, default=2048)
    parser.add_argument("--hashes", type=int, default=3)
    parser.add_argument("--overlaps", type=float, nargs="*", default=[1.0, 0.2])
    asked = parser.parse_args()
    result: dict[str, Any] = {"rows": asked.rows, "seeds": asked.seeds, "missing": list(MISSING)}
    asked.out.parent.mkdir(parents=True, exist_ok=True)

    def keep(name: str, value: Any, since: float) -> None:
        result[name] = value
        result[f"{name}_cpu_seconds"] = round(time.process_time() - since, 1)
        asked.out.write_text(json.dumps(result, indent=2) + "\n")
        print(name, json.dumps(value), flush=True)

    for name, overlap in (("control_full", 1.0), ("control_20", 0.2)):
        if name not in asked.only:
            continue
        since = time.process_time()
        found = pooled(
            unseeded(control(asked.rows, overlap, seed), np.random.default_rng(seed))
            for seed in range(asked.seeds)
        )
        keep(f"{name}_detail", found.as_json(), since)
        keep(name.replace("control", "control_clk"), round(found.rate, 4), since)
    if "default" not in asked.only:
        return
    for overlap in asked.overlaps:
        since = time.process_time()
        trials = [
            saul(asked.rows, overlap, seed, bits=asked.bits, hashes=asked.hashes)
            for seed in range(asked.seeds)
        ]
        every = [attack("name_dob", t, np.random.default_rng(7)) for t in trials]
        unknown = [pooled(o) for o in zip(*(f.unknown for f in every), strict=True)]
        known = [pooled(o) for o in zip(*(f.known for f in every), strict=True)]
        name = f"saul_{asked.bits}_h{asked.hashes}_overlap{round(100 * overlap)}"
        detail = {
            "graph_upper": max(o.upper for o in unknown),
            "known_5_percent_upper": max(o.upper for o in known),
            "attacks": [o.as_json() for o in (*unknown, *known)],
            "leakage": every[0].leakage.as_json(),
        }
        keep(name, detail, since)


if __name__ == "__main__":
    main()
