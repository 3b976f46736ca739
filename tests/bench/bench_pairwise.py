"""How many records a second are encoded for single pairs.

    python tests/bench/bench_pairwise.py [--rows 25000] [--threads 1]

Made-up people with eight fields of 256 bits, about eight tokens each, four pairs per record.
Prints one JSON object.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from pathlib import Path

import numpy as np

from linkage.agreement import Manifest, parse_manifest
from linkage.encoding import normalise_column
from linkage.encoding.pairwise import PAIR_ID_BYTES, PairwiseEncoder

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parents[2]))

from tests.bench.bench_encoding import FIELDS, people

QUOTA = 4
EIGHT = {name: kind for name, kind in FIELDS.items() if name != "ssn"}


def agreed() -> Manifest:
    document = {
        "linkage": "manifest/1",
        "project": "bench",
        "title": "Benchmark",
        "purpose": "Measure",
        "legal_basis": "None needed",
        "expires": "2099-01-01",
        "partners": [{"name": "a"}, {"name": "b"}],
        "recipients": [{"name": "r", "role": "assembler"}],
        "fields": [{"name": name, "type": kind} for name, kind in EIGHT.items()],
        "match_keys": [{"name": "k", "fields": ["surname", "dob"]}],
        "scheme": {"name": "saul-v1"},
    }
    return parse_manifest(json.dumps(document).encode())


def measure(rows: int = 25_000, threads: int = 1) -> dict[str, float]:
    """Figures of one run, the best of three for encoding; see `tests.bench`."""
    manifest = agreed()
    cells = people(rows)
    columns = {f.name: normalise_column(f, cells[f.name]).values for f in manifest.fields}
    rng = np.random.default_rng(2)
    pair_ids = rng.integers(0, 256, (QUOTA * rows, PAIR_ID_BYTES), dtype=np.uint8)
    asked = rng.permutation(np.repeat(np.arange(rows), QUOTA))
    with PairwiseEncoder(manifest, bytes(32), epoch=1) as encoder:
        encoder.prepare({name: column[:100] for name, column in columns.items()})
        encoder.encode(pair_ids[:100], np.arange(100), context="warm")
        start = time.perf_counter()
        encoder.prepare(columns)
        prepared = time.perf_counter() - start
        encoded = []
        for _ in range(3):
            start = time.perf_counter()
            encoder.encode(pair_ids, asked, context="run", threads=threads)
            encoded.append(time.perf_counter() - start)
    return {
        "prepare_pairwise_rps": rows / prepared,
        "encode_pairwise_rps": QUOTA * rows / min(encoded),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=25_000)
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()
    print(json.dumps(measure(options.rows, options.threads), indent=1))


if __name__ == "__main__":
    main()
