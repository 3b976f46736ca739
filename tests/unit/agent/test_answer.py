"""The agent's part in a comparison round, up to what it would send."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from linkage.agent.answer import Round, Terms
from linkage.agreement import Manifest
from linkage.answers import Answers, Requests
from linkage.encoding.pairwise import PairwiseEncoder
from linkage.errors import AgreementError, DigestMismatchError, QuotaError
from linkage.v1 import comparison_pb2 as pb

ROWS, QUOTA, RUN, UPLOAD = 50, 4, "ab" * 16, "cd" * 16
SECRET = bytes(range(32))
NOBODY: object = None  # a list that is complete on disk is not asked for again


@pytest.fixture
def manifest(make_manifest) -> Manifest:
    return make_manifest({"unique": False})


@pytest.fixture
def terms(manifest: Manifest) -> Terms:
    return Terms(manifest, 0, "north", UPLOAD, ROWS)


def requests_of(within: bool = False, seed: int = 1) -> Requests:
    random = np.random.default_rng(seed)
    rows = random.permutation(np.repeat(np.arange(ROWS), QUOTA))
    ids = random.integers(0, 256, (len(rows), 16), np.uint8)
    if within:
        # Each id for two rows that differ; every row still stands four times.
        rows = np.stack([np.tile(np.arange(ROWS), 2), (np.tile(np.arange(ROWS), 2) + 7) % ROWS], 1)
        ids = np.repeat(ids[: len(rows)], 2, axis=0)
        rows = np.sort(rows, axis=1).ravel()
    order = np.lexsort((rows, *ids.T[::-1]))
    return Requests(ids[order], rows[order])


def asked_of(terms: Terms, requests: Requests, other: str = "south", **changes) -> pb.Comparison:
    said = {
        "run": RUN,
        "project": terms.manifest.project,
        "other": other,
        "entries": len(requests),
        "digest": hashlib.sha256(requests.to_bytes()).hexdigest(),
        "upload": UPLOAD,
        "epoch": 0,
        "fingerprint": terms.manifest.fingerprint,
    }
    return pb.Comparison(**(said | changes))


def arrived(place: Path, other: str, data: bytes) -> None:
    directory = place / other
    directory.mkdir(parents=True, mode=0o700)
    (directory / "requests").write_bytes(data)


COLUMNS = {
    "given": [["ann", "bo", "christa", None, "d"][n % 5] for n in range(ROWS)],
    "surname": [f"name{'abcdefghij'[n % 10]}" for n in range(ROWS)],
    "dob": [f"19{n + 20}-01-0{n % 9 + 1}" if n % 4 else None for n in range(ROWS)],
}


def columns_of(chosen: np.ndarray) -> dict[str, np.ndarray]:
    return {name: np.array(values, object)[chosen] for name, values in COLUMNS.items()}


def batches(order: np.ndarray, size: int) -> Iterator[tuple[dict[str, np.ndarray], np.ndarray]]:
    for start in range(0, ROWS, size):
        places = order[start : start + size]
        yield columns_of(places), places


@pytest.mark.parametrize("within", [False, True], ids=["between", "within"])
def test_every_entry_is_answered_in_its_place(tmp_path: Path, terms: Terms, within: bool) -> None:
    other = "north" if within else "south"
    requests = requests_of(within)
    arrived(tmp_path, other, requests.to_bytes())
    this = Round(tmp_path, terms, [asked_of(terms, requests, other)])
    lists = this.fetch(NOBODY)  # type: ignore[arg-type]
    order = np.random.default_rng(3).permutation(ROWS)
    told: list[tuple[int, int]] = []
    with PairwiseEncoder(terms.manifest, SECRET, epoch=0) as encoder:
        this.encode(
            lists,
            encoder,
            batches(order, 16),
            threads=2,
            progress=lambda step, done, total: told.append((done, total)),
        )
        found = Answers.from_bytes(this.outbox(other).payload.read_bytes(), fields=3)
        names = ", ".join(sorted(["north", other]))
        encoder.prepare(columns_of(np.arange(ROWS)))
        for entry in range(0, len(requests), 7):
            one = slice(entry, entry + 1)
            alone = encoder.encode(
                requests.pair_ids[one], requests.rows[one], context=f"run {RUN}: {names}"
            )
            assert alone.to_bytes() == found.take(one).to_bytes()
    assert len(found) == ROWS * QUOTA
    assert told[-1] == (ROWS, ROWS)


def test_a_killed_agent_goes_on_from_its_checkpoint(
    tmp_path: Path, terms: Terms, monkeypatch: pytest.MonkeyPatch
) -> None:
    requests = requests_of()
    arrived(tmp_path, "south", requests.to_bytes())
    this = Round(tmp_path, terms, [asked_of(terms, requests)])
    order = np.arange(ROWS)

    class KilledError(Exception):
        pass

    def run(fail_after: int | None) -> int:
        """How many batches were encoded."""
        lists, encoded = this.fetch(NOBODY), 0  # type: ignore[arg-type]
        with PairwiseEncoder(terms.manifest, SECRET, epoch=0) as encoder:
            prepare = encoder.prepare

            def counted(columns) -> None:
                nonlocal encoded
                encoded += 1
                if fail_after is not None and encoded > fail_after:
                    raise KilledError
                prepare(columns)

            encoder.prepare = counted  # type: ignore[method-assign]
            this.encode(lists, encoder, batches(order, 10), threads=1, progress=lambda *_: None)
        return encoded

    monkeypatch.setattr("linkage.agent.answer.CHECKPOINT_ROWS", 20)
    with pytest.raises(KilledError):
        run(fail_after=3)
    assert json.loads((tmp_path / "done.json").read_bytes())["rows"] == 20
    assert run(None) == 3  # of five batches, two were under the checkpoint
    whole = this.outbox("south").payload.read_bytes()
    (tmp_path / "done.json").unlink()
    assert run(None) == 5
    assert this.outbox("south").payload.read_bytes() == whole


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"project": "other"}, "another manifest"),
        ({"fingerprint": "0" * 64}, "another manifest"),
        ({"epoch": 1}, "another manifest"),
        ({"upload": "0" * 32}, "another manifest"),
        ({"other": "west"}, "does not have"),
        ({"entries": ROWS * QUOTA + 1}, "201 times, not 4 times for each of 50 rows"),
        ({"entries": ROWS * (QUOTA + 1)}, "not 4 times"),
    ],
)
def test_what_was_not_agreed_to_is_not_answered(
    tmp_path: Path, terms: Terms, changes: dict, message: str
) -> None:
    this = Round(tmp_path / "round", terms, [asked_of(terms, requests_of(), **changes)])
    with pytest.raises(AgreementError, match=message):
        this.fetch(NOBODY)  # type: ignore[arg-type]


def test_a_unique_file_is_not_compared_with_itself(tmp_path: Path, make_manifest) -> None:
    terms = Terms(make_manifest(), 0, "north", UPLOAD, ROWS)
    with pytest.raises(AgreementError, match="does not have"):
        terms.require_covers(asked_of(terms, requests_of(True), "north"))


def test_a_manifest_may_do_without_the_round(make_manifest) -> None:
    terms = Terms(make_manifest(matching={"pair_keyed": False}), 0, "north", UPLOAD, ROWS)
    with pytest.raises(AgreementError, match="no pair-keyed comparison"):
        terms.require_covers(asked_of(terms, requests_of()))


def test_a_list_that_breaks_the_quota_is_refused(tmp_path: Path, terms: Terms) -> None:
    requests = requests_of()
    requests.rows[0] = requests.rows[1]
    arrived(tmp_path, "south", requests.to_bytes())
    with pytest.raises(QuotaError, match="exactly 4 times"):
        Round(tmp_path, terms, [asked_of(terms, requests)]).fetch(NOBODY)  # type: ignore[arg-type]


def test_a_list_that_is_not_the_announced_one_is_fetched_anew(tmp_path: Path, terms: Terms) -> None:
    requests = requests_of()
    arrived(tmp_path, "south", requests_of(seed=2).to_bytes())
    with pytest.raises(DigestMismatchError):
        Round(tmp_path, terms, [asked_of(terms, requests)]).fetch(NOBODY)  # type: ignore[arg-type]
    assert not (tmp_path / "south" / "requests").exists()
