"""Fuzz one parser by our own mutations alone, without the cost of following its coverage.

python -m tests.fuzz.plain manifest FINDINGS CASES SEED
"""

from __future__ import annotations

import sys
from pathlib import Path
from random import Random

from .findings import Findings
from .parsers import PARSERS


def main() -> None:
    name, path, cases, seed = sys.argv[1], Path(sys.argv[2]), int(sys.argv[3]), sys.argv[4]
    target, random = PARSERS[name], Random(f"{name} {seed}")
    findings = Findings(name, target, path)
    data = random.choice(target.seeds)
    for _ in range(cases):
        # Mostly one step from a seed, now and then several.
        base = data if random.random() < 0.2 else random.choice(target.seeds)
        data = target.mutate(base, random)[: 1 << 16]
        findings.case(data)
    print(f"stat::number_of_executed_units: {cases}", file=sys.stderr)


if __name__ == "__main__":
    main()
