"""Runs one `linkage` command after another, to pay for the imports once.

A line of JSON in, with `argv` and `environment`; a line out, with `code`, `out` and `err`. Each
command goes through the entry point that the console script calls. What bypasses Python's streams
comes out on this process's own standard error.
"""

from __future__ import annotations

import io
import json
import os
import sys
from contextlib import redirect_stderr, redirect_stdout

from linkage.cli.main import main as linkage


def run(argv: list[str]) -> dict[str, object]:
    out, err = io.StringIO(), io.StringIO()
    sys.argv = ["linkage", *argv]
    code: object = 0
    with redirect_stdout(out), redirect_stderr(err):
        try:
            linkage()
        except SystemExit as stop:
            code = stop.code or 0
    return {"code": code, "out": out.getvalue(), "err": err.getvalue()}


def main() -> None:
    plain = dict(os.environ)
    for line in sys.stdin:
        job = json.loads(line)
        os.environ.update(job["environment"])
        sys.stdout.write(json.dumps(run(job["argv"])) + "\n")
        sys.stdout.flush()
        os.environ.clear()
        os.environ.update(plain)


if __name__ == "__main__":
    main()
