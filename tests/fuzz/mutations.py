"""Make wrong what was right: bytes, JSON, tables of text, and protobuf messages.

Every function takes a source of chance and something valid, and gives bytes that often still have
its shape: what is wrong all through is refused at the first byte, and finds nothing.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from copy import deepcopy
from random import Random
from typing import Any

from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message

TEXTS = [
    "",
    " ",
    "\x00",
    "a" * 70,
    "a" * 5000,
    "../../etc/passwd",
    "\ud800",
    "\u202eabc",
    "ａｂｃ",
    "e\u0301" * 40,
    "%s%n{0}",
    "'; DROP TABLE run; --",
    "NaN",
    "1e999",
    "0" * 32,
    "f" * 64,
    "G" * 64,
    "\n",
    "sheriff\n",
    "💥",
    "2024-02-30",
    "9999-12-31T23:59:59.999999Z",
    "0001-01-01T00:00:00+23:59",
]
NUMBERS: list[Any] = [
    0,
    -1,
    1,
    2,
    63,
    64,
    65,
    1 << 31,
    (1 << 31) - 1,
    (1 << 32) - 1,
    1 << 63,
    (1 << 64) - 1,
    1 << 64,
    -(1 << 63),
    10**40,
    0.5,
    -0.0,
    1e308,
    float("nan"),
    float("inf"),
]
VALUES: list[Any] = [None, True, False, [], {}, [[]], {"": ""}, *TEXTS, *NUMBERS]


def flipped(data: bytes, random: Random) -> bytes:
    """A few bytes altered, cut out, repeated, or put in."""
    raw = bytearray(data)
    for _ in range(random.choice((1, 1, 1, 2, 4, 12))):
        place = random.randrange(len(raw) + 1)
        step = random.randrange(6)
        if step == 0 and raw:
            raw[place % len(raw)] ^= 1 << random.randrange(8)
        elif step == 1 and raw:
            raw[place % len(raw)] = random.choice((0, 0xFF, 0x7F, 0x80, random.randrange(256)))
        elif step == 2:
            del raw[place : place + random.choice((1, 2, 8, 64, 4096))]
        elif step == 3:
            raw[place:place] = random.randbytes(random.choice((1, 2, 8, 64)))
        elif step == 4:
            other = random.randrange(len(raw) + 1)
            raw[place:place] = raw[other : other + random.choice((1, 4, 16, 256))]
        else:
            raw = raw[:place]
    return bytes(raw)


def json_mutated(data: bytes, random: Random) -> bytes:
    """Another document of much the same shape; sometimes in canonical form, sometimes broken."""
    if random.random() < 0.15:
        return flipped(data, random)
    try:
        root = [json.loads(data)]
    except (ValueError, RecursionError):
        return flipped(data, random)
    for _ in range(random.choice((1, 1, 1, 2, 5))):
        _alter(root, random)
    if random.random() < 0.02:
        return b"[" * random.choice((10, 2000, 200_000)) + data
    tight = random.random() < 0.8
    text = json.dumps(
        root[0],
        sort_keys=tight,
        separators=(",", ":") if tight else None,
        ensure_ascii=random.random() < 0.5,
    )
    return text.encode("utf-8", errors="surrogatepass")


def _alter(root: list[Any], random: Random) -> None:
    places: list[tuple[Any, Any]] = []
    stack: list[Any] = [root]
    while stack:
        at = stack.pop()
        keys = list(at) if isinstance(at, dict) else range(len(at))
        for key in keys:
            places.append((at, key))
            if isinstance(at[key], (dict, list)):
                stack.append(at[key])
    at, key = random.choice(places)
    step = random.randrange(8)
    if step <= 2:
        at[key] = _near(at[key], random)
    elif step == 3:
        at[key] = deepcopy(random.choice(VALUES))
    elif step == 4 and at is not root:
        del at[key]
    elif step == 5:
        other, there = random.choice(places)
        try:
            at[key] = json.loads(json.dumps(other[there]))
        except (KeyError, IndexError, ValueError):
            at[key] = None
    elif step == 6 and isinstance(at, dict):
        at[random.choice((*TEXTS, str(key) + "x"))] = at[key]
    elif isinstance(at, list) and at is not root:
        at += [at[key]] * random.choice((1, 2, 50))
    else:
        at[key] = [at[key]]


def _near(value: Any, random: Random) -> Any:
    """Another value of the same type."""
    if isinstance(value, bool) or value is None:
        return not value
    if isinstance(value, int):
        return random.choice((value + 1, value - 1, -value, value * 64, *NUMBERS))
    if isinstance(value, float):
        return random.choice((*NUMBERS, value * -1))
    if isinstance(value, str):
        place = random.randrange(len(value) + 1)
        return random.choice(
            (
                value[:place] + random.choice(TEXTS) + value[place:],
                value[:place],
                value.upper(),
                value * 3,
                random.choice(TEXTS),
            )
        )
    return deepcopy(random.choice(VALUES))


def table_mutated(data: bytes, random: Random) -> bytes:
    """A CSV file with cells, rows, quotes or its encoding altered."""
    if random.random() < 0.3:
        return flipped(data, random)
    lines = data.split(b"\n")
    for _ in range(random.choice((1, 1, 2, 6))):
        place = random.randrange(len(lines))
        cells = lines[place].split(b",")
        cell = random.randrange(len(cells))
        step = random.randrange(9)
        if step <= 3:
            text = random.choice((*TEXTS, *map(str, NUMBERS), '"', '""', 'a"b', '"a\nb"', "=1+1"))
            cells[cell] = text.encode("utf-8", errors="surrogatepass")
        elif step == 4:
            cells.insert(cell, random.choice((b"", b"x", b"\xff\xfe", b"\xc3")))
        elif step == 5:
            del cells[cell]
        elif step == 6:
            cells[cell] = flipped(cells[cell], random)
        lines[place] = b",".join(cells)
        if step == 7:
            lines.insert(place, random.choice(lines))
        elif step == 8:
            del lines[place]
            lines = lines or [b""]
    text = random.choice((b"\n", b"\n", b"\n", b"\r\n", b"\r")).join(lines)
    if random.random() < 0.1:
        text = random.choice((b"\xef\xbb\xbf" + text, text + b"\x00", text.replace(b",", b";")))
    return text


def message_mutated(message: Message, random: Random) -> bytes:
    """A message of the same kind with fields altered; sometimes its bytes as well."""
    changed = type(message)()
    changed.CopyFrom(message)
    for _ in range(random.choice((0, 1, 1, 1, 2, 4))):
        _alter_message(changed, random)
    raw = changed.SerializeToString()
    return flipped(raw, random) if random.random() < 0.3 else raw


def _alter_message(message: Message, random: Random) -> None:
    field = random.choice(message.DESCRIPTOR.fields or [None])
    if field is None:
        return
    if field.message_type is not None:
        if not field.is_repeated:
            _alter_message(getattr(message, field.name), random)
        return
    if random.random() < 0.15:
        message.ClearField(field.name)
        return
    if field.is_repeated:
        getattr(message, field.name).append(_scalar(field, None, random))
        return
    setattr(message, field.name, _scalar(field, getattr(message, field.name), random))


_BOUNDS = {
    FieldDescriptor.CPPTYPE_INT32: (-(1 << 31), (1 << 31) - 1),
    FieldDescriptor.CPPTYPE_UINT32: (0, (1 << 32) - 1),
    FieldDescriptor.CPPTYPE_INT64: (-(1 << 63), (1 << 63) - 1),
    FieldDescriptor.CPPTYPE_UINT64: (0, (1 << 64) - 1),
}


def _scalar(field: FieldDescriptor, value: Any, random: Random) -> Any:
    kind = field.cpp_type
    if kind == FieldDescriptor.CPPTYPE_STRING:
        if field.type == FieldDescriptor.TYPE_BYTES:
            return flipped(value or b"", random)
        text = (
            random.choice(TEXTS) if value is None or random.random() < 0.5 else _near(value, random)
        )
        return text.encode("utf-8", errors="replace").decode()
    if kind == FieldDescriptor.CPPTYPE_BOOL:
        return random.random() < 0.5
    if kind in {FieldDescriptor.CPPTYPE_DOUBLE, FieldDescriptor.CPPTYPE_FLOAT}:
        return float(random.choice(NUMBERS))
    if kind == FieldDescriptor.CPPTYPE_ENUM:
        return random.choice((0, 1, 2, 3, 4, 99, -1))
    low, high = _BOUNDS[kind]
    near = random.choice((0, 1, 2, high, low, (value or 0) + 1, (value or 0) - 1, high // 2))
    return min(max(near, low), high)


Mutate = Callable[[bytes, Random], bytes]
