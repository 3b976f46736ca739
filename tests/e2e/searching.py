"""Look for planted bytes in every shape they could have leaked in."""

from __future__ import annotations

import base64
import io
import zipfile
from collections.abc import Iterable, Iterator
from pathlib import Path

SHORTEST = 5


def shapes(planted: bytes) -> set[bytes]:
    """The planted bytes as they are, in other case, reversed, hex, base64, UTF-16.

    Base64 has three alignments; the letters at either end depend on the neighbours and are left
    out.
    """
    cases = {planted, planted.lower(), planted.upper()}
    found = set(cases)
    for text in cases:
        found.add(text[::-1])
        found |= {text.hex().encode(), text.hex().upper().encode()}
        for offset in range(3):
            coded = base64.b64encode(b"\0" * offset + text)
            inner = coded[(0, 2, 3)[offset] : len(coded) - (4 if len(text) > 8 else 3)]
            found |= {inner, inner.replace(b"+", b"-").replace(b"/", b"_")}
        if text.isascii():
            found |= {text.decode().encode("utf-16-le"), text.decode().encode("utf-16-be")}
    # What is shorter stands in a few million random bytes by chance.
    return {shape for shape in found if len(shape) >= SHORTEST}


def contents(paths: Iterable[Path]) -> Iterator[tuple[Path, bytes]]:
    """Every file below, and every member of those that are archives."""
    for path in paths:
        for file in [path] if path.is_file() else sorted(p for p in path.rglob("*") if p.is_file()):
            data = file.read_bytes()
            yield file, data
            if zipfile.is_zipfile(io.BytesIO(data)):
                with zipfile.ZipFile(io.BytesIO(data)) as archive:
                    for name in archive.namelist():
                        yield file / name, archive.read(name)


def leaks(planted: Iterable[bytes], paths: Iterable[Path]) -> list[str]:
    """Where a planted text is, by file; never the text itself."""
    sought = [(number, shape) for number, text in enumerate(planted) for shape in shapes(text)]
    return [
        f"marker {number} in {file}"
        for file, data in contents(paths)
        for number, shape in sought
        if shape in data
    ]
