"""An append-only file: lines of canonical JSON, each with the SHA-256 of the line before it.

A line that a crash cut short is dropped by the next one. The last line alone could be changed
without being noticed; whoever may write to the file could write all of it anew.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from linkage.agreement.canonical import canonical
from linkage.errors import DigestMismatchError
from linkage.files import PRIVATE, sync_directory

FIRST = "0" * 64
Said = Mapping[str, Any]


class Chain:
    """The file.

    Args:
        name: of it, for people.
        remedy: what to do when a line is not what was written.
    """

    def __init__(self, path: Path, name: str, remedy: str) -> None:
        self._path = path
        self._name = name
        self._remedy = remedy

    def read(self) -> list[Said]:
        """What was said, in order.

        Raises:
            DigestMismatchError: a line is not the one that was written.
        """
        return [said for _, said in self._lines()]

    def append(self, say: Callable[[list[Said]], Said | None]) -> bool:
        """Write a line down for good, and say whether there was one.

        Args:
            say: gives it, or None for none, from what stands there; nobody else writes meanwhile.
        """
        descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_APPEND, PRIVATE)
        with os.fdopen(descriptor, "ab") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            lines = self._lines()
            said = say([one for _, one in lines])
            if said is None:
                return False
            previous = hashlib.sha256(lines[-1][0]).hexdigest() if lines else FIRST
            line = canonical({"previous": previous, "number": len(lines), **said})
            # What a crash cut short ends here.
            file.truncate(sum(len(one) + 1 for one, _ in lines))
            file.write(line + b"\n")
            file.flush()
            os.fsync(file.fileno())
        sync_directory(self._path.parent)
        return True

    def _lines(self) -> list[tuple[bytes, Said]]:
        if not self._path.exists():
            return []
        *lines, _ = self._path.read_bytes().split(b"\n")
        previous, found = FIRST, []
        for number, line in enumerate(lines):
            try:
                said = json.loads(line)
                fits = said.pop("previous") == previous and said.pop("number") == number
            except (ValueError, KeyError, TypeError, AttributeError):
                fits, said = False, {}
            if not fits:
                raise DigestMismatchError(
                    f"line {number + 1} of {self._name} is not what was written",
                    remedy=self._remedy,
                )
            previous = hashlib.sha256(line).hexdigest()
            found.append((line, said))
        return found
