"""Run every benchmark and write its figures: python -m tests.bench --out build/bench.json

The result is one flat JSON object. A name ends in what it counts: `_rps` records a second on one
core, `_pps` pairs a second on one core, `_mbps` megabytes a second, `_gib` memory, `_minutes` and
`_ms` time, `_ratio` ours over the peer's or the limit's in the same run. Figures against a peer
need its environment (`make peers`).
"""

from __future__ import annotations

import argparse
import json
import platform
from pathlib import Path

from tests.bench import (
    bench_candidates,
    bench_clk,
    bench_encode_file,
    bench_encoding,
    bench_log,
    bench_matching,
    bench_model,
    bench_pairwise,
    bench_wire,
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("build/bench.json"))
    options = parser.parse_args()
    figures: dict[str, float] = {}
    for part in (
        bench_encoding,
        bench_encode_file,
        bench_clk,
        bench_matching,
        bench_candidates,
        bench_model,
        bench_pairwise,
        bench_log,
        bench_wire,
    ):
        for name, value in part.measure().items():
            figures[name] = float(f"{value:.4g}")
            print(f"{name:<32} {figures[name]:>16,}")
    options.out.parent.mkdir(parents=True, exist_ok=True)
    options.out.write_text(json.dumps(figures, indent=1, sort_keys=True) + "\n")
    print(f"wrote {options.out} ({platform.machine()}, Python {platform.python_version()})")


if __name__ == "__main__":
    main()
