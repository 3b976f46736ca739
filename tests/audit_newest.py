"""What PyPI's advisories say of locked versions, where only its page per project can be reached.

    python -m tests.audit_newest requirements/dev.txt

`pip-audit` asks for every version by itself (`make audit`). Some mirrors answer for a project's
newest version alone: a locked version that is the newest is audited by that; of an older one
nothing is known but whether it was withdrawn. Prints a line for each package that is not newest,
vulnerable, withdrawn or not found. Exits 1 if one is vulnerable or withdrawn, 2 if one could not be
looked up.
"""

from __future__ import annotations

import json
import re
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from urllib.error import URLError
from urllib.request import urlopen

from pip._internal.models.index import PyPI

_LOCKED = re.compile(r"^([A-Za-z0-9._-]+)==([^ ;\\]+)", re.MULTILINE)
SECONDS = 30


def look_up(name: str) -> dict[str, Any] | None:
    """PyPI's page of a project, or None where there is none."""
    try:
        with urlopen(f"{PyPI.pypi_url}/{name}/json", timeout=SECONDS) as answer:  # noqa: S310
            found: dict[str, Any] = json.load(answer)
            return found
    except (URLError, ValueError, TimeoutError):
        return None


def main() -> int:
    locked = dict(_LOCKED.findall(Path(sys.argv[1]).read_text("utf-8")))
    with ThreadPoolExecutor(8) as pool:
        pages = dict(zip(locked, pool.map(look_up, locked), strict=True))
    audited = bad = unknown = 0
    for name, version in sorted(locked.items()):
        page = pages[name]
        if page is None:
            print(f"{name} {version}: not found")
            unknown += 1
            continue
        newest = page["info"]["version"]
        files = page["releases"].get(version, [])
        if files and all(file["yanked"] for file in files):
            print(f"{name} {version}: withdrawn by its makers")
            bad += 1
        if newest != version:
            print(f"{name} {version}: not audited, {newest} is newer")
            continue
        audited += 1
        for advisory in page["vulnerabilities"]:
            print(f"{name} {version}: {advisory['id']}")
            bad += 1
    print(f"{audited} of {len(locked)} are the newest and were audited; faults: {bad}")
    return 1 if bad else 2 if unknown else 0


if __name__ == "__main__":
    sys.exit(main())
