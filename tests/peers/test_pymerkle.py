"""Our tree has the roots and the paths of pymerkle, an implementation of RFC 9162 by others.

pymerkle runs in the peers' environment; without it (`make peers`) these tests are skipped.
"""

from __future__ import annotations

import json
import random
import subprocess
from pathlib import Path

import pytest

from linkage.trust.transparency import (
    consistency_proof,
    inclusion_proof,
    leaf_hash,
    subtrees_of,
    tree_root,
    verify_consistency,
    verify_inclusion,
)

HERE = Path(__file__).parent
PEER = HERE.parents[1] / ".venv-peers/bin/python"

pytestmark = pytest.mark.skipif(not PEER.exists(), reason="pymerkle is not there: run `make peers`")


def test_roots_paths_and_what_they_prove_are_pymerkles() -> None:
    draw = random.Random(7)
    cases = []
    for size in (1, 2, 3, 4, 5, 7, 8, 9, 31, 64, 100, 257):
        leaves = [draw.randbytes(draw.randint(0, 40)) for _ in range(size)]
        cases.append((leaves, draw.randrange(size), draw.randint(1, size)))
    asked = "\n".join(
        json.dumps({"leaves": [leaf.hex() for leaf in leaves], "index": index})
        for leaves, index, _ in cases
    )
    done = subprocess.run(
        [PEER, HERE / "pymerkle_peer.py"], input=asked, capture_output=True, text=True, check=True
    )
    answers = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(answers) == len(cases)
    for (leaves, index, first), theirs in zip(cases, answers, strict=True):
        size, hashes = len(leaves), [leaf_hash(leaf) for leaf in leaves]
        subtrees = subtrees_of(hashes)
        roots = [bytes.fromhex(root) for root in theirs["roots"]]
        assert roots == [tree_root(n, subtrees) for n in range(1, size + 1)]
        path = [bytes.fromhex(one) for one in theirs["inclusion"]]
        assert bytes.fromhex(theirs["leaf"]) == hashes[index]
        assert inclusion_proof(index, size, subtrees) == path
        verify_inclusion(hashes[index], index, size, path, roots[-1])
        proof = consistency_proof(first, size, subtrees)
        verify_consistency(first, roots[first - 1], size, roots[-1], proof)
