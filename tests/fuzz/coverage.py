"""Fuzz one parser guided by coverage: libFuzzer, by way of atheris, over `linkage`'s bytecode.

    python -m tests.fuzz.coverage manifest FINDINGS -runs=100000

Half of what it tries is made by our own mutations, half by libFuzzer's. An error that is no refusal
is written to the findings, one line of JSON each, and the next case is tried.
"""

from __future__ import annotations

import sys
from pathlib import Path
from random import Random

import atheris

with atheris.instrument_imports(include=["linkage"]):
    from tests.fuzz.findings import Findings
    from tests.fuzz.parsers import PARSERS


def main() -> None:
    name, path = sys.argv[1], Path(sys.argv[2])
    target = PARSERS[name]
    findings = Findings(name, target, path)

    def mutated(data: bytes, size: int, seed: int) -> bytes:
        random = Random(seed)
        if random.random() < 0.5:
            base = data if random.random() < 0.7 else random.choice(target.seeds)
            return target.mutate(base, random)[:size]
        return atheris.Mutate(data, size)

    corpus = path.with_suffix("") / name
    corpus.mkdir(parents=True, exist_ok=True)
    for number, seed in enumerate(target.seeds):
        (corpus / f"seed-{number}").write_bytes(seed)
    more = ["-print_final_stats=1", "-max_len=65536", "-rss_limit_mb=4096", "-timeout=30"]
    atheris.Setup(
        [sys.argv[0], *sys.argv[3:], *more, str(corpus)], findings.case, custom_mutator=mutated
    )
    atheris.Fuzz()


if __name__ == "__main__":
    main()
