"""How much memory and time it takes to check and encode a partner's file.

    python -m tests.bench.bench_encode_file [--rows 10000000] [--directory build/encode]

Made-up people with record ids in a CSV file; eight match keys of 2,048 bits, all cores. The work is
done by a process of its own, whose largest resident set the system tells. Ten million rows need 25
GB of disk and half an hour, so `make bench` measures one and two million, and draws a straight line
through them for ten; `--rows` measures as many rows as it says. Prints one JSON object.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import resource
import shutil
import subprocess
import sys
import time
from pathlib import Path

from linkage.agreement import Manifest, parse_manifest
from tests.bench.bench_encoding import FIELDS, agreed, people

PART = 200_000
SMALL, LARGE, WHOLE = 1_000_000, 2_000_000, 10_000_000


def write_people(path: Path, rows: int) -> None:
    """A file of people; every 200,000 have the same identifiers but their own record id."""
    cells = people(min(rows, PART))
    lines = list(zip(*(cells[name] for name in FIELDS), strict=True))
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["id", *FIELDS])
        for start in range(0, rows, len(lines)):
            part = lines[: rows - start]
            writer.writerows((f"R{start + n}", *line) for n, line in enumerate(part))


def manifest() -> Manifest:
    document = json.loads(agreed("saul-v1").canonical)
    document["partners"][0]["record_id"] = "id"
    return parse_manifest(json.dumps(document).encode())


def encode(path: Path, directory: Path) -> dict[str, float]:
    """Check and encode in this process.

    Returns:
        Minutes, of the clock and of processors; the largest resident set in GiB; and the second
        at which each step ended.
    """
    from linkage.agent.records import Records
    from linkage.agent.source import SourceFile
    from linkage.encoding import Encoder

    agreed_on = manifest()
    steps: dict[str, float] = {}

    def progress(step: str, done: int, total: int) -> None:
        del done, total
        steps[step] = time.perf_counter()

    start = time.perf_counter()
    records = Records(agreed_on, agreed_on.partners[0], SourceFile(path))
    checked = records.check(progress)
    with Encoder(agreed_on, bytes(32), epoch=1) as encoder:
        made = records.encode(
            checked,
            encoder,
            directory / "payload",
            threads=os.cpu_count() or 1,
            progress=progress,
        )
    found = {step: round(at - start, 1) for step, at in steps.items()}
    used = resource.getrusage(resource.RUSAGE_SELF)
    return {
        "rows": checked.rows,
        "gigabytes": made.layout.size / 1e9,
        "minutes": (time.perf_counter() - start) / 60,
        "processor_minutes": (used.ru_utime + used.ru_stime) / 60,
        "gib": used.ru_maxrss / (1 << 20),
        **{f"until_{step}": seconds for step, seconds in found.items()},
    }


def run(rows: int, directory: Path) -> dict[str, float]:
    """The same in a process of its own, on a file made for it."""
    directory.mkdir(parents=True)
    try:
        path = directory / "people.csv"
        write_people(path, rows)
        out = directory / "out"
        out.mkdir()
        told = subprocess.run(
            [sys.executable, "-m", "tests.bench.bench_encode_file", "--encode", path, out],
            check=True,
            stdout=subprocess.PIPE,
        ).stdout
        found: dict[str, float] = json.loads(told.splitlines()[-1])
        return found
    finally:
        shutil.rmtree(directory)


def measure(directory: Path = Path("build/encode")) -> dict[str, float]:
    """Figures of one run; see `tests.bench`."""
    small, large = run(SMALL, directory), run(LARGE, directory)
    growth = (large["gib"] - small["gib"]) / (LARGE - SMALL)
    return {
        "encode_file_1m_gib": small["gib"],
        "encode_file_2m_gib": large["gib"],
        "encode_file_2m_minutes": large["minutes"],
        "encode_file_10m_gib_by_line": large["gib"] + growth * (WHOLE - LARGE),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=SMALL)
    parser.add_argument("--directory", type=Path, default=Path("build/encode"))
    parser.add_argument("--encode", type=Path, nargs=2, help=argparse.SUPPRESS)
    options = parser.parse_args()
    found = encode(*options.encode) if options.encode else run(options.rows, options.directory)
    print(json.dumps(found))


if __name__ == "__main__":
    main()
