"""How fast filters are made from a linkage schema, beside clkhash on the same records.

    python tests/bench/bench_clk.py [rows]

The same schema, records and one core each, validation on in both, and equal filters. Without the
peers' environment (`make peers`) only our own rate is measured.
"""

from __future__ import annotations

import base64
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from linkage.agreement.linkage_schema import parse_linkage_schema
from linkage.encoding.clk_compat import encode_clks
from linkage.encoding.clk_files import clks_from_binary
from tests.bench.bench_encoding import people

HERE = Path(__file__).parent
PEERS = HERE.parents[1] / ".venv-peers/bin/python"
SECRET = bytes(range(32))


def _feature(name: str, settings: dict, comparison: dict, bits: int = 100) -> dict:
    return {
        "identifier": name,
        "format": settings,
        "hashing": {
            "comparison": comparison,
            "strategy": {"bitsPerFeature": bits},
            "missingValue": {"sentinel": ""},
        },
    }


def schema() -> dict:
    """Nine features as in the schemas that clkhash's tutorials show for FEBRL."""
    text = {"type": "string", "encoding": "utf-8"}
    bigrams = {"type": "ngram", "n": 2}
    digits = {"type": "ngram", "n": 1, "positional": True}
    salt = base64.b64encode(bytes(range(64))).decode()
    return {
        "version": 3,
        "clkConfig": {"l": 1024, "kdf": {"type": "HKDF", "hash": "SHA256", "salt": salt}},
        "features": [
            {"identifier": "id", "ignored": True},
            _feature("given", text | {"maxLength": 64}, bigrams, 200),
            _feature("surname", text | {"maxLength": 64}, bigrams, 200),
            _feature("dob", {"type": "date", "format": "%Y-%m-%d"}, digits, 200),
            _feature("sex", {"type": "enum", "values": ["M", "F"]}, {"type": "exact"}, 50),
            _feature("phone", {"type": "integer", "minimum": 1}, digits),
            _feature("address", text, bigrams),
            _feature("city", text, bigrams),
            _feature("postcode", {"type": "integer", "maximum": 99999}, digits),
            _feature("ssn", {"type": "integer"}, digits),
        ],
    }


def measure(rows: int = 20_000) -> dict[str, float]:
    """Figures of one run; see `tests.bench`.

    Raises:
        AssertionError: clkhash makes other filters.
    """
    cells = people(rows)
    names = [feature["identifier"] for feature in schema()["features"][1:]]
    numbers = map(str, range(rows))
    records = [list(row) for row in zip(numbers, *(cells[name] for name in names), strict=True)]
    parsed = parse_linkage_schema(schema())
    encode_clks(parsed, records[:100], SECRET)  # compile
    with _one_core():
        # Clocks vary, so either side is measured more than once and its best run counts.
        best = float("inf")
        for _ in range(3):
            start = time.perf_counter()
            words = encode_clks(parsed, records, SECRET)
            best = min(best, time.perf_counter() - start)
        figures = {"encode_clk_rps": rows / best}
        if PEERS.exists():
            peer, theirs = _clkhash(records)
            ours = clks_from_binary(theirs, parsed.bits)
            assert (ours == words).all(), "clkhash makes other filters"
            figures |= {"clkhash_rps": peer, "encode_clk_ratio": rows / best / peer}
    return figures


@contextmanager
def _one_core() -> Iterator[None]:
    """Keep this process and those it starts on one core, where the system can."""
    if not hasattr(os, "sched_setaffinity"):
        yield
        return
    cores = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(cores)})
    try:
        yield
    finally:
        os.sched_setaffinity(0, cores)


def _clkhash(records: list[list[str]]) -> tuple[float, bytes]:
    """clkhash's best rate, in a process on our one core, and its filters."""
    with tempfile.TemporaryDirectory() as directory:
        case, answer = Path(directory) / "case.json", Path(directory) / "clks.bin"
        case.write_text(
            json.dumps({"schema": schema(), "rows": records, "secret": SECRET.hex()}), "utf-8"
        )
        command = [PEERS, HERE / "peers.py", "clks", case, answer]
        done = subprocess.run(command, check=True, capture_output=True, text=True)
        return json.loads(done.stdout)["records_per_second"], answer.read_bytes()


if __name__ == "__main__":
    print(json.dumps(measure(*map(int, sys.argv[1:2])), indent=1))
