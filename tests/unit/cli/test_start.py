"""Every command starts at once: what only some need is loaded by those."""

from __future__ import annotations

import subprocess
import sys

HEAVY = ("pandas", "numba", "pyarrow", "sqlalchemy", "recordlinkage", "rapidfuzz", "grpc")


def test_no_command_pays_for_what_another_needs() -> None:
    code = f"import sys, linkage.cli.main; print([m for m in {HEAVY} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
