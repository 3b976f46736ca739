"""An append-only file: lines of canonical JSON, each with the SHA-256 of the line before it.

A line that a crash cut short is dropped by the next one. The last line alone could be changed
without being noticed; whoever may write to the file could write all of it anew.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, TypeVar

from pydantic import ValidationError

from linkage.agreement.canonical import canonical
from linkage.errors import DigestMismatchError, LimitError, LinkageError
from linkage.files import PRIVATE, sync_directory

FIRST = "0" * 64
MAX_LINE = 1 << 27
"""Bytes of a line: many times what 100,000 cells take."""
Said = Mapping[str, Any]
One = TypeVar("One")


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

    def read(self, parse: Callable[[Said], One]) -> list[One]:
        """What was said, in order.

        Args:
            parse: what that was; whatever it raises, it was not that.

        Raises:
            DigestMismatchError: a line is not the one that was written, or is of another version.
        """
        found = []
        for number, (_, said) in enumerate(self._lines(), start=1):
            try:
                found.append(parse(said))
            except (ArithmeticError, LookupError, TypeError, ValueError, LinkageError) as error:
                where = ""
                if isinstance(error, ValidationError):
                    place = error.errors(include_input=False)[0]["loc"]
                    where = f": see {str(place[0])[:40]!r}" if place else ""
                raise DigestMismatchError(
                    f"line {number} of {self._name} is not such as this version writes{where}",
                    remedy="It may be of another version: use the one that wrote it. "
                    + self._remedy,
                ) from None
        return found

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
            if len(line) > MAX_LINE:
                raise LimitError(
                    f"a line of {self._name} would have more than {MAX_LINE:,} bytes",
                    remedy="Count in fewer or coarser tables",
                )
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
        previous, found = FIRST, []
        for number, line in enumerate(self._raw()):
            try:
                said = json.loads(line)
                fits = said.pop("previous") == previous and said.pop("number") == number
            except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
                fits, said = False, {}
            if not fits:
                raise DigestMismatchError(
                    f"line {number + 1} of {self._name} is not what was written",
                    remedy=self._remedy,
                )
            previous = hashlib.sha256(line).hexdigest()
            found.append((line, said))
        return found

    def _raw(self) -> Iterator[bytes]:
        """Whole lines; the last one may have been cut short."""
        with self._path.open("rb") as file:
            while line := file.readline(MAX_LINE + 1):
                if line.endswith(b"\n"):
                    yield line[:-1]
                elif len(line) > MAX_LINE:
                    # Longer than any that was written: none of the file can be relied on.
                    raise DigestMismatchError(
                        f"a line of {self._name} has more than {MAX_LINE:,} bytes",
                        remedy=self._remedy,
                    )
