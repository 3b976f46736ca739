"""Read the memory of a process of ours, and look in it for many texts at once.

What a core dump would hold: everything readable that is anonymous or writable, freed memory that
nobody has overwritten included. Read from /proc, so no debugger is needed.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt

PIECE = 32 << 20
_MAP = re.compile(r"([0-9a-f]+)-([0-9a-f]+) (\S+) \S+ \S+ (\d+) *(.*)")


def pieces_of(pid: int, *, overlap: int) -> Iterator[bytes]:
    """The memory of a process, in pieces that share `overlap` bytes with the next."""
    with Path(f"/proc/{pid}/mem").open("rb", buffering=0) as memory:
        for line in Path(f"/proc/{pid}/maps").read_text().splitlines():
            found = _MAP.fullmatch(line)
            assert found is not None, line
            start, end = int(found[1], 16), int(found[2], 16)
            modes, inode, name = found[3], found[4], found[5]
            if "r" not in modes or name in {"[vvar]", "[vvar_vclock]", "[vsyscall]"}:
                continue
            if inode != "0" and "w" not in modes:
                continue
            while start < end:
                try:
                    memory.seek(start)
                    piece = memory.read(min(PIECE, end - start))
                except OSError:
                    break  # Given back meanwhile.
                if not piece:
                    break
                yield piece
                if start + len(piece) >= end:
                    break
                start += max(len(piece) - overlap, 1)


class Seeker:
    """Finds any of many texts in one pass.

    Args:
        sought: texts of at least 4 bytes, and what each is known as.
    """

    def __init__(self, sought: Iterable[tuple[int, bytes]]) -> None:
        self._by_start: defaultdict[int, list[tuple[int, bytes]]] = defaultdict(list)
        for number, text in sought:
            self._by_start[int.from_bytes(text[:4], "little")].append((number, text))
        self._starts = np.array(sorted(self._by_start), np.uint32)
        self._maybe = np.zeros(1 << 16, np.bool_)
        self._maybe[_folded(self._starts)] = True
        self.longest = max(len(t) for texts in self._by_start.values() for _, t in texts)

    def in_piece(self, data: bytes) -> set[int]:
        """What is known as which of the texts that `data` holds."""
        found: set[int] = set()
        for shift in range(4):
            size = (len(data) - shift) // 4 * 4
            if size <= 0:
                continue
            words = np.frombuffer(data, "<u4", size // 4, shift)
            places = np.flatnonzero(self._maybe[_folded(words)])
            for place in places[np.isin(words[places], self._starts)]:
                at = int(place) * 4 + shift
                for number, text in self._by_start[int(words[place])]:
                    if data.startswith(text, at):
                        found.add(number)
        return found


def _folded(words: npt.NDArray[np.uint32]) -> npt.NDArray[np.uint32]:
    return (words * np.uint32(2_654_435_761)) >> np.uint32(16)


def found_in_memory(pid: int, sought: Iterable[tuple[int, bytes]]) -> tuple[set[int], int]:
    """Which of the texts a process's memory holds, and how many bytes were looked through."""
    seeker, found, size = Seeker(sought), set[int](), 0
    for piece in pieces_of(pid, overlap=seeker.longest):
        found |= seeker.in_piece(piece)
        size += len(piece)
    return found, size
