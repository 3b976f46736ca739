"""At least a million wrong inputs: `make fuzz`.

    python -m tests.fuzz --cases 1000000 --out build/fuzz.json

- Parsers: a fifth guided by coverage (`coverage`), the others by mutations alone (`plain`); a
  process each.
- RPCs: against a real hub (`rpcs`).
- The result says per target how many cases, crashes and unhandled errors, and how long it took;
  what was found is beside it, to be made a test of.
"""

from __future__ import annotations

import argparse
import json
import re
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from tests.fuzz.parsers import PARSERS
from tests.fuzz.rpcs import target

RPC_SHARE = 0.02
# Following coverage finds other things, and takes several times as long.
GUIDED_SHARE = 0.2
_EXECUTED = re.compile(rb"stat::number_of_executed_units:\s+(\d+)")


def fuzz_parser(name: str, cases: int, findings: Path, seed: int) -> dict[str, Any]:
    start = time.monotonic()
    before = _lines(findings)
    guided = round(cases * GUIDED_SHARE)
    python = [sys.executable, "-m"]
    prefix = f"-artifact_prefix={findings.parent}/crash-{name}-"
    options = [f"-runs={guided}", f"-seed={seed}", prefix]
    ways = [
        [*python, "tests.fuzz.coverage", name, str(findings), *options],
        [*python, "tests.fuzz.plain", name, str(findings), str(cases - guided), str(seed)],
    ]
    executed = crashes = 0
    for command in ways:
        done = subprocess.run(command, capture_output=True, check=False)
        found = _EXECUTED.search(done.stderr)
        executed += int(found[1]) if found else 0
        crashes += done.returncode != 0
        if done.returncode:
            sys.stderr.write(done.stderr.decode(errors="replace")[-4000:])
    return {
        "cases": executed,
        "crashes": crashes,
        "unhandled": _lines(findings) - before,
        "seconds": round(time.monotonic() - start, 1),
    }


def fuzz_rpcs(cases: int, findings: Path, seed: int) -> dict[str, Any]:
    start = time.monotonic()
    with target(seed) as hub:
        while hub.cases < cases:
            hub.step()
        assert hub.hub.process is not None
        crashed = not hub.hub.process.is_alive()
        with findings.open("a") as file:
            for found in hub.findings:
                file.write(json.dumps(vars(found)) + "\n")
        return {
            "cases": hub.cases,
            "refused": hub.refused,
            "crashes": int(crashed),
            "unhandled": len(hub.findings),
            "seconds": round(time.monotonic() - start, 1),
        }


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cases", type=int, default=1_000_000)
    parser.add_argument("--out", type=Path, default=Path("build/fuzz.json"))
    parser.add_argument("--seed", type=int, default=int(time.time()))
    parser.add_argument("--only", action="append", help="a parser's name, or rpcs")
    given = parser.parse_args()
    out: Path = given.out.absolute()
    out.parent.mkdir(parents=True, exist_ok=True)
    findings = out.with_suffix(".findings.jsonl")
    findings.unlink(missing_ok=True)
    findings.touch()
    chosen = [n for n in (*PARSERS, "rpcs") if not given.only or n in given.only]
    weight = sum(PARSERS[name].weight for name in chosen if name != "rpcs") or 1.0
    parsed = given.cases * (1 - RPC_SHARE) if "rpcs" in chosen else given.cases
    result: dict[str, Any] = {"seed": given.seed, "targets": {}}
    for name in chosen:
        if name == "rpcs":
            share = round(given.cases * RPC_SHARE) if len(chosen) > 1 else given.cases
            done = fuzz_rpcs(share, findings, given.seed)
        else:
            share = round(parsed * PARSERS[name].weight / weight) + 1
            done = fuzz_parser(name, share, findings, given.seed)
        result["targets"][name] = done
        print(name, done, flush=True)
        totals = result["targets"].values()
        for count in ("cases", "crashes", "unhandled", "seconds"):
            result[count] = round(sum(one[count] for one in totals), 1)
        out.write_text(json.dumps(result, indent=1) + "\n")
    return int(bool(result["crashes"] or result["unhandled"]))


def _lines(path: Path) -> int:
    return len(path.read_text().splitlines())


if __name__ == "__main__":
    sys.exit(main())
