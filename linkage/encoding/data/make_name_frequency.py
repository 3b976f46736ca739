"""Make name_frequency.csv from the 1990 census lists in the PyPI package `names` 0.3.0.

python make_name_frequency.py DIRECTORY_OF_THE_UNPACKED_PACKAGE
"""

from __future__ import annotations

import csv
import sys
from pathlib import Path

# Shares of people, in per cent, from which on a name is common or medium; all others are rare.
SURNAME = (0.1, 0.01)
GIVEN = (0.5, 0.05)


def main(source: Path) -> None:
    surnames = shares(source / "dist.all.last")
    given: dict[str, float] = {}
    for sex in ("female", "male"):
        for name, share in shares(source / f"dist.{sex}.first").items():
            given[name] = given.get(name, 0.0) + share / 2
    target = Path(__file__).with_name("name_frequency.csv")
    with target.open("w", newline="", encoding="utf-8") as file:
        out = csv.writer(file, lineterminator="\n")
        out.writerow(("kind", "name", "class"))
        for kind, found, cuts in (("given", given, GIVEN), ("surname", surnames, SURNAME)):
            for name in sorted(found):
                if found[name] >= cuts[1]:
                    out.writerow((kind, name, 1 if found[name] >= cuts[0] else 2))


def shares(path: Path) -> dict[str, float]:
    lines = (line.split() for line in path.read_text("ascii").splitlines())
    return {name.lower(): float(share) for name, share, *_ in lines}


if __name__ == "__main__":
    main(Path(sys.argv[1]))
