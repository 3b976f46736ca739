"""pymerkle itself, to compare with; run by the peers' own Python (`make peers`).

One case a line on standard input, `{"leaves": [hex, ...], "index": i}`; one answer a line on
standard output: the roots over the first 1 to n leaves, and the path of inclusion of leaf `index`.
"""

import json
import sys

from pymerkle import InmemoryTree


def answer(case: dict) -> dict:
    tree = InmemoryTree(algorithm="sha256")
    for leaf in case["leaves"]:
        tree.append_entry(bytes.fromhex(leaf))
    size = len(case["leaves"])
    roots = [tree.get_root(n).hex() for n in range(1, size + 1)]
    # pymerkle counts leaves from 1, and begins a path with the leaf's own hash.
    path = tree.prove_inclusion(case["index"] + 1, size).serialize()["path"]
    return {"roots": roots, "leaf": path[0], "inclusion": path[1:]}


def main() -> None:
    for line in sys.stdin:
        print(json.dumps(answer(json.loads(line))), flush=True)


if __name__ == "__main__":
    main()
