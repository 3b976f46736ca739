"""anonlink's greedy solver, to compare with; run by the peers' own Python (`make peers`).

Standard input: one JSON list of cases, each a list of `[similarity, left, right]`, falling by
similarity. Standard output: per case the sorted pairs that the solver links.
"""

import json
import sys
from array import array

from anonlink.solving import greedy_solve, pairs_from_groups


def solve(pairs: list) -> list:
    similarity, left, right = zip(*pairs, strict=True) if pairs else ((), (), ())
    sides = (array("I", [0] * len(pairs)), array("I", [1] * len(pairs)))
    candidates = (array("d", similarity), sides, (array("I", left), array("I", right)))
    return sorted(pairs_from_groups(greedy_solve(candidates)))


if __name__ == "__main__":
    print(json.dumps([solve(case) for case in json.load(sys.stdin)]))
