"""Put a directory in the place of another: whatever happens on the way, one of the two is whole.

- A directory is written beside its place, is on the disk before it is seen, and is renamed. The
  one that was there stands beside its place for that moment; where a crash leaves it there, the
  next process puts it back.
- What a crash leaves is cleared away by the next process. One that is still at work holds a lock
  on what is its own.
"""

from __future__ import annotations

import fcntl
import os
import re
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from linkage.files import sync_directory, sync_file

_NEW, _OLD = "new", "old"


@contextmanager
def beside(place: Path) -> Iterator[Path]:
    """A directory to write in, gone at the end unless it was put in its place."""
    place.parent.mkdir(parents=True, exist_ok=True)
    with _own(place, _NEW) as work:
        yield work


def put(work: Path, place: Path) -> None:
    """Rename a directory that was written to its place, where another one may stand."""
    for path in (*work.rglob("*"), work):
        sync_directory(path) if path.is_dir() else sync_file(path)
    if not place.exists():
        work.rename(place)
        sync_directory(place.parent)
        return
    with _own(place, _OLD) as aside:
        old = place.rename(aside / place.name)
        try:
            work.rename(place)
        except OSError:
            old.rename(place)
            raise
        sync_directory(place.parent)


def recover(place: Path) -> None:
    """Put back what a crash left beside a place that is empty, and clear away the rest."""
    if not place.parent.is_dir():
        return
    name = re.compile(rf"\.{re.escape(place.name)}\.({_NEW}|{_OLD})-[a-z0-9_]{{8}}")
    for left in sorted(one for one in place.parent.iterdir() if name.fullmatch(one.name)):
        with _locked(left) as free:
            if not free:
                continue
            old = left / place.name
            if f".{_OLD}-" in left.name and old.is_dir() and _is_empty(place):
                old.rename(place)
                sync_directory(place.parent)
            shutil.rmtree(left, ignore_errors=True)


def _is_empty(place: Path) -> bool:
    return not place.exists() or (place.is_dir() and not any(place.iterdir()))


@contextmanager
def _own(place: Path, kind: str) -> Iterator[Path]:
    while True:
        made = Path(tempfile.mkdtemp(prefix=f".{place.name}.{kind}-", dir=place.parent))
        with _locked(made) as free:
            # Another process may have cleared it away before it was locked.
            if not free or not made.exists():
                continue
            try:
                yield made
            finally:
                shutil.rmtree(made, ignore_errors=True)
            return


@contextmanager
def _locked(directory: Path) -> Iterator[bool]:
    """Whether nobody else is at work in a directory; nobody is while this holds."""
    try:
        descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    except FileNotFoundError:
        yield False
        return
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            free = True
        except OSError:
            free = False
        yield free
    finally:
        os.close(descriptor)
