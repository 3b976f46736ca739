"""A short run of every parser, and what longer runs have found.

`make fuzz` tries a million cases, guided by coverage; see `tests.fuzz`.
"""

from __future__ import annotations

from random import Random

import pytest

from .parsers import PARSERS, is_refusal

CASES = 60

FOUND = [
    ("party", b"{"),
    ("party", b"[]"),
    ("party", b'{"address":"h:1","name":"sheriff"}'),
    ("party", b'{"address":"h:1","name":"sheriff","role":"emperor"}'),
    ("party", b"[" * 200_000),
    ("trusted-keys", b'["a"]'),
    ("trusted-keys", b"1"),
    ("trusted-keys", b"\xff"),
    ("parcel", b'{"linkage":"parcel/1","parts":[{"size":8,"table":"people"}]}\nPAR1PAR1'),
    ("extract", b"\xff\xfe"),
    ("log-key", "prairie/log+00000000+ä".encode()),
    ("authority", b""),
    ("authority", b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"),
]
"""By parser, what once ended in an error that was no refusal."""


@pytest.mark.parametrize("name", list(PARSERS))
def test_wrong_bytes_are_refused(name: str) -> None:
    target, random = PARSERS[name], Random(f"fuzz {name}")
    read = 0
    for case in range(min(int(20 + CASES * target.weight), 400)):
        data = target.mutate(random.choice(target.seeds), random)
        try:
            target.read(data)
            read += 1
        except Exception as error:
            assert is_refusal(error), (name, case, data[:200], repr(error))


@pytest.mark.parametrize(("name", "data"), FOUND, ids=range(len(FOUND)))
def test_what_was_found_is_refused(name: str, data: bytes) -> None:
    try:
        PARSERS[name].read(data)
    except Exception as error:
        assert is_refusal(error), repr(error)


@pytest.mark.parametrize("name", [name for name, one in PARSERS.items() if one.reads_seeds])
def test_what_they_start_from_is_read(name: str) -> None:
    """Seeds that were wrong themselves would find nothing."""
    for seed in PARSERS[name].seeds:
        PARSERS[name].read(seed)
