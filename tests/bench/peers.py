"""What the peers do with the same input; run by the peers' own Python (`make peers`).

    .venv-peers/bin/python tests/bench/peers.py anonlink FILE BITS THRESHOLD
    .venv-peers/bin/python tests/bench/peers.py clkhash FILE
    .venv-peers/bin/python tests/bench/peers.py clks FILE OUT

Prints one JSON object. `FILE` is an .npz of two packed bit matrices (anonlink), a CSV with a
header (clkhash), or a JSON object of `schema`, `rows` and `secret` (clks); `OUT` gets the filters.
"""

import csv
import json
import sys
import time
from pathlib import Path


def anonlink(path: str, bits: int, threshold: float) -> dict:
    import numpy as np
    from anonlink.similarities import dice_coefficient_accelerated
    from bitarray import bitarray

    stored = np.load(path)
    sides = []
    for name in ("left", "right"):
        rows = []
        for raw in stored[name]:
            row = bitarray(endian="little")
            row.frombytes(raw.tobytes())
            rows.append(row[:bits])
        sides.append(rows)
    start = time.process_time()
    _, (left, right) = dice_coefficient_accelerated(sides, threshold, k=None)
    seconds = time.process_time() - start
    pairs = sorted(zip(left, right, strict=True))
    return {"pairs_per_second": len(sides[0]) * len(sides[1]) / seconds, "found": pairs}


def clkhash(path: str) -> dict:
    from clkhash.clk import generate_clks
    from clkhash.comparators import get_comparator
    from clkhash.field_formats import FieldHashingProperties, StringSpec
    from clkhash.schema import Schema

    with Path(path).open(newline="") as file:
        names, *rows = csv.reader(file)
    bigrams = {"type": "ngram", "n": 2}
    fields = [
        StringSpec(
            name,
            FieldHashingProperties(
                comparator=get_comparator(bigrams), strategy=_bits_per_token(10)
            ),
            max_length=100,
        )
        for name in names
    ]
    schema = Schema(fields, 1024)
    start = time.perf_counter()
    generate_clks(rows, schema, b"0123456789abcdef")
    seconds = time.perf_counter() - start
    return {"records_per_second": len(rows) / seconds}


def clks(path: str, out: str) -> dict:
    """clkhash's best rate of three, in this one process, and its filters."""
    from clkhash import bloomfilter
    from clkhash.clk import generate_clks
    from clkhash.schema import from_json_dict

    case = json.loads(Path(path).read_text("utf-8"))
    schema, secret = from_json_dict(case["schema"]), bytes.fromhex(case["secret"])
    best = float("inf")
    for _ in range(3):
        for cached in vars(bloomfilter).values():
            if hasattr(cached, "cache_clear"):
                cached.cache_clear()
        start = time.perf_counter()
        filters = generate_clks(case["rows"], schema, secret, max_workers=1)
        best = min(best, time.perf_counter() - start)
    Path(out).write_bytes(b"".join(clk.tobytes() for clk in filters))
    return {"records_per_second": len(case["rows"]) / best}


def _bits_per_token(count: int):
    from clkhash.field_formats import BitsPerTokenStrategy

    return BitsPerTokenStrategy(count)


if __name__ == "__main__":
    if sys.argv[1] == "anonlink":
        result = anonlink(sys.argv[2], int(sys.argv[3]), float(sys.argv[4]))
    elif sys.argv[1] == "clks":
        result = clks(sys.argv[2], sys.argv[3])
    else:
        result = clkhash(sys.argv[2])
    print(json.dumps(result))
