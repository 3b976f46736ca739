"""How well files are linked, side by side with plaintext Splink and with anonlink.

    python -m tests.bench.quality [--only NAME] [--seed 1] [--out build/quality.json]

Ours: the manifest that `draft-manifest` proposes from profiles, default settings, the hardened
scheme, a real comparison round, the threshold that the hub itself recommends. The peers run in
their own environment (`make peers`) on the same normalised cells; without it only ours is run.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from tests.bench import files
from tests.bench.linking import Case, linked, normalised, pairs_alike
from tests.bench.settings import clk_schema

HERE = Path(__file__).parent
PEERS = HERE.parents[1] / ".venv-peers" / "bin" / "python"
SPLINK_AT = (0.5, 0.95)
ANONLINK_AT = 0.8


def cases(seed: int, directory: Path) -> Iterator[Case]:
    """The public files, then those made hard."""
    yield files.febrl4("half")
    yield files.febrl4("full")
    yield files.febrl_sample("febrl4-1-percent", 20, 2000, 2000, seed)
    yield files.febrl_sample("febrl4-nobody", 0, 2000, 2000, seed)
    if PEERS.exists():
        _peer("pseudopeople", directory, str(seed))
        public = files.pseudopeople(directory)
        yield public
        yield files.sample(public, "pseudopeople-10-percent", 400, 4000, 4000, seed)
        yield files.sample(public, "pseudopeople-1-percent", 50, 5000, 5000, seed)
        yield files.sample(public, "pseudopeople-1-to-50", 150, 200, 10_000, seed)
        yield files.sample(public, "pseudopeople-nobody", 0, 4000, 4000, seed)
    yield from files.hard(seed)


def ours(case: Case) -> dict[str, Any]:
    found = linked(case)
    return {
        **found.at,
        "best_f1": found.best["f1"],
        "candidate_recall": found.candidate_recall,
        "estimated_precision": found.estimated["precision"],
        "estimated_recall": found.estimated["recall"],
        "overlap": found.report["overall"]["overlap"],
    }


def peers(case: Case) -> dict[str, Any]:
    """Splink at its usual thresholds and anonlink at 0.8, each one to one, and at their best."""
    result: dict[str, Any] = {}
    for name, thresholds in (("splink", SPLINK_AT), ("anonlink", (ANONLINK_AT,))):
        with tempfile.TemporaryDirectory() as temporary:
            directory = Path(temporary)
            _write(case, directory)
            try:
                _peer(name, directory)
            except subprocess.CalledProcessError:
                # Splink can't be trained where it finds no matches to learn from.
                result[name] = None
                continue
            found = pd.read_csv(directory / "pairs.csv")
        chosen = _one_to_one(case, found)
        curve = _at(case, chosen)
        result[name] = {
            **{f"f1_at_{t}": round(_f1(case, chosen[chosen["score"] >= t]), 4) for t in thresholds},
            "best_f1": round(curve, 4),
        }
    return result


def _peer(*arguments: str | Path) -> None:
    command = [PEERS, HERE / "peer_quality.py", *arguments]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def _write(case: Case, directory: Path) -> None:
    for side, partner in zip(("left", "right"), case.files, strict=True):
        pd.DataFrame(normalised(case, partner)).to_csv(directory / f"{side}.csv", index=False)
    document = {"types": dict(case.types), "same": False, "schema": clk_schema(case.types)}
    (directory / "case.json").write_text(json.dumps(document), "utf-8")


def _one_to_one(case: Case, found: pd.DataFrame) -> pd.DataFrame:
    """The best pairs first, while both rows are free; a file with duplicates has no such bound."""
    one, other = case.files
    taken: tuple[set[int], set[int]] = (set(), set())
    kept = []
    found = found.sort_values("score", ascending=False, kind="stable")
    for left, right, score in found[["left", "right", "score"]].itertuples(index=False):
        if other not in case.duplicates and left in taken[0]:
            continue
        if one not in case.duplicates and right in taken[1]:
            continue
        taken[0].add(left)
        taken[1].add(right)
        kept.append((int(left), int(right), score))
    table = pd.DataFrame(kept, columns=["left", "right", "score"])
    truth = [case.files[name]["truth"].to_numpy() for name in (one, other)]
    table["right_one"] = truth[0][table["left"]] == truth[1][table["right"]]
    return table


def _matches(case: Case) -> int:
    one, other = (pd.DataFrame({"truth": table["truth"]}) for table in case.files.values())
    return pairs_alike(one, other, ["truth"], same=False)


def _f1(case: Case, links: pd.DataFrame) -> float:
    both = len(links) + _matches(case)
    return float(2 * links["right_one"].sum() / both) if both else 1.0


def _at(case: Case, links: pd.DataFrame) -> float:
    """The best F1 at any threshold."""
    right = links["right_one"].cumsum().to_numpy()
    ends = links["score"].to_numpy()
    last = np.append(ends[1:] != ends[:-1], True)[: len(ends)]
    f1 = 2 * right / (np.arange(1, len(right) + 1) + _matches(case))
    return float(f1[last].max(initial=0.0))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", action="append", default=[])
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--out", type=Path, default=Path("build/quality.json"))
    options = parser.parse_args()
    results = {}
    with tempfile.TemporaryDirectory() as temporary:
        for case in cases(options.seed, Path(temporary)):
            if options.only and case.name not in options.only:
                continue
            row = {"ours": ours(case), **(peers(case) if PEERS.exists() else {})}
            results[case.name] = row
            sys.stdout.write(f"{case.name}: {json.dumps(row)}\n")
            sys.stdout.flush()
    options.out.parent.mkdir(parents=True, exist_ok=True)
    options.out.write_text(json.dumps(results, indent=1) + "\n")


if __name__ == "__main__":
    main()
