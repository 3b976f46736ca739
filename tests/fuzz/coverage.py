"""Fuzz one parser guided by coverage: libFuzzer, by way of atheris, over `linkage`'s bytecode.

    python -m tests.fuzz.coverage manifest FINDINGS -runs=100000

Half of what it tries is made by our own mutations, half by libFuzzer's. An error that is no refusal
is written to the findings, one line of JSON each, and the next case is tried.
"""

from __future__ import annotations

import base64
import json
import sys
import traceback
from pathlib import Path
from random import Random

import atheris

with atheris.instrument_imports(include=["linkage"]):
    from tests.fuzz.parsers import PARSERS, is_refusal


def main() -> None:
    name, findings = sys.argv[1], Path(sys.argv[2])
    target = PARSERS[name]
    seen: set[str] = set()

    def one(data: bytes) -> None:
        try:
            target.read(data)
        except Exception as error:
            if is_refusal(error):
                return
            place = traceback.extract_tb(error.__traceback__)[-1]
            kind = f"{type(error).__name__} at {place.filename}:{place.lineno}"
            if kind not in seen:
                seen.add(kind)
                found = {"parser": name, "error": kind, "data": base64.b64encode(data).decode()}
                with findings.open("a") as file:
                    file.write(json.dumps(found) + "\n")

    def mutated(data: bytes, size: int, seed: int) -> bytes:
        random = Random(seed)
        if random.random() < 0.5:
            base = data if random.random() < 0.7 else random.choice(target.seeds)
            return target.mutate(base, random)[:size]
        return atheris.Mutate(data, size)

    corpus = findings.with_suffix("") / name
    corpus.mkdir(parents=True, exist_ok=True)
    for number, seed in enumerate(target.seeds):
        (corpus / f"seed-{number}").write_bytes(seed)
    more = ["-print_final_stats=1", "-max_len=65536", "-rss_limit_mb=4096", "-timeout=30"]
    atheris.Setup([sys.argv[0], *sys.argv[3:], *more, str(corpus)], one, custom_mutator=mutated)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
