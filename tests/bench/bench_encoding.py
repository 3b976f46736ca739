"""How many records a second are normalised and encoded.

    python tests/bench/bench_encoding.py [--rows 100000] [--threads 1]

Made-up people; eight match keys of 2,048 bits, h = 3, three fields each on average. Prints one
JSON object.
"""

from __future__ import annotations

import argparse
import json
import time

import numpy as np

from linkage.agreement import Manifest, parse_manifest
from linkage.encoding import Encoder, normalise_column

FIELDS = {
    "given": "given_name",
    "surname": "surname",
    "dob": "date_of_birth",
    "sex": "sex",
    "phone": "phone",
    "address": "address",
    "city": "city",
    "postcode": "postcode",
    "ssn": "national_id",
}
KEYS = [
    ["given", "surname", "dob"],
    ["surname", "dob"],
    ["given", "dob", "sex", "city"],
    ["dob", "postcode", "given"],
    ["given", "surname", "postcode", "sex"],
    ["surname", "phone"],
    ["given", "address", "city"],
    ["ssn", "surname", "dob"],
]
SCHEMES = {
    "saul-v1": {"name": "saul-v1", "bits": 2048, "hashes": 3},
    "clk-v1": {"name": "clk-v1", "bits": 1024, "hashes": 10, "risk_acknowledged": True},
}


def agreed(scheme: str) -> Manifest:
    document = {
        "linkage": "manifest/1",
        "project": "bench",
        "title": "Benchmark",
        "purpose": "Measure",
        "legal_basis": "None needed",
        "expires": "2099-01-01",
        "partners": [{"name": "a"}, {"name": "b"}],
        "recipients": [{"name": "r", "role": "assembler"}],
        "fields": [{"name": name, "type": kind} for name, kind in FIELDS.items()],
        "match_keys": [{"name": f"k{i}", "fields": fields} for i, fields in enumerate(KEYS)],
        "scheme": SCHEMES[scheme],
    }
    return parse_manifest(json.dumps(document).encode())


def people(rows: int) -> dict[str, list[str]]:
    rng = np.random.default_rng(1)
    letters = np.array(list("aaabcdeeefghiiijklmnnoooprrsstuvwy"))

    def words(count: int) -> np.ndarray:
        return np.array(
            ["".join(rng.choice(letters, length)) for length in rng.integers(4, 10, count)]
        )

    def mixed(*parts: np.ndarray) -> list[str]:
        return [" ".join(map(str, row)) for row in zip(*parts, strict=True)]

    days = np.datetime64("1920-01-01") + rng.integers(0, 36_500, rows)
    return {
        "given": rng.choice(words(3000), rows).tolist(),
        "surname": rng.choice(words(20_000), rows).tolist(),
        "dob": days.astype(str).tolist(),
        "sex": rng.choice(["M", "F"], rows).tolist(),
        "phone": mixed(rng.integers(2 * 10**9, 10**10, rows)),
        "address": mixed(
            rng.integers(1, 9999, rows), rng.choice(words(4000), rows), np.full(rows, "Street")
        ),
        "city": rng.choice(words(300), rows).tolist(),
        "postcode": mixed(rng.integers(10_000, 99_999, rows)),
        "ssn": mixed(rng.integers(10**8, 10**9, rows)),
    }


def measure(rows: int = 100_000, threads: int = 1) -> dict[str, float]:
    """Figures of one run; see `tests.bench`."""
    cells = people(rows)
    columns = {}
    start = time.perf_counter()
    for field in agreed("saul-v1").fields:
        columns[field.name] = normalise_column(field, cells[field.name]).values
    figures = {"normalise_9_fields_rps": rows / (time.perf_counter() - start)}
    for scheme, name in (("saul-v1", "encode_saul8_rps"), ("clk-v1", "encode_clk8_rps")):
        for warm in (True, False):
            part = {n: column[: 100 if warm else rows] for n, column in columns.items()}
            with Encoder(agreed(scheme), bytes(32), epoch=1) as encoder:
                start = time.perf_counter()
                encoder.encode(part, threads=threads)
                figures[name] = rows / (time.perf_counter() - start)
    return figures


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()
    print(json.dumps(measure(options.rows, options.threads), indent=1))


if __name__ == "__main__":
    main()
