"""The hub's part in a comparison round: what it asks, takes, refuses, and forgets."""

from __future__ import annotations

import hashlib
import json
import time

import pytest

from linkage.answers import REQUEST_BYTES, Requests, answer_bytes, verify_quota
from linkage.errors import (
    AlreadyExistsError,
    CancelledError,
    DigestMismatchError,
    FingerprintMismatchError,
    HubUnavailableError,
    InvalidRequestError,
    LimitError,
    NotAuthorisedError,
    NotFoundError,
    NotReadyError,
    SignatureError,
    TooLateError,
)
from linkage.store import tables
from linkage.store.sql import update
from linkage.v1 import run_pb2

from .answering import (
    HOURS,
    agreed,
    answer,
    answers_to,
    download,
    header_of,
    keyed_manifest,
    left_behind,
    lists_of,
    pass_deadline,
    state_of,
    submit,
    wait_until_cleared,
    wait_until_waiting,
)
from .conftest import make_manifest, raw, small_matrix, wait_for_end

SHERIFF = list(range(60))
HEALTH = list(range(30, 110))
QUOTA, FIELDS = 4, 3


class Round:
    """A run of two partners that waits for answers."""

    def __init__(self, steward, members, **changes) -> None:
        self.steward, self.members = steward, members
        self.manifest = agreed(steward, members, keyed_manifest(**changes))
        self.people = {"sheriff": SHERIFF, "health": HEALTH}
        self.project = self.manifest.project

    def start(self) -> Round:
        for name in self.manifest.partner_names:
            submit(self.members[name], self.manifest, self.people[name])
        self.run = self.steward.start_run(self.project).run
        wait_until_waiting(self.steward, self.project, self.run)
        return self

    def lists(self, name):
        return [one for one in lists_of(self.members[name], self.project) if one.run == self.run]

    def answer(self, name, missing=()):
        return [
            answer(self.members[name], self.manifest, asked, self.people[name], missing)
            for asked in self.lists(name)
        ]

    def data(self, name, asked) -> bytes:
        requests = Requests.from_bytes(download(self.members[name], self.run, asked.other))
        return answers_to(requests, self.people[name], FIELDS).to_bytes()

    def header(self, name, asked, data, **changes):
        return header_of(self.members[name], self.manifest, asked, data, **changes)

    @property
    def now(self) -> run_pb2.Run:
        return state_of(self.steward, self.project, self.run)

    def report(self):
        wait_for_end(self.steward, self.run)
        return self.steward.report(self.run)


@pytest.fixture
def waiting(steward, members) -> Round:
    return Round(steward, members).start()


@pytest.fixture(scope="module")
def shared(steward, members) -> Round:
    """One that is not changed by what is refused."""
    return Round(steward, members).start()


def test_a_round_from_the_lists_to_the_links(hub, waiting, members) -> None:
    run = waiting.now
    assert list(run.waiting_for) == ["health", "sheriff"]
    assert run.step.startswith("waits for answers of health, sheriff until 20")
    assert 0 < run.deadline.seconds - time.time() - 3600 * HOURS + 60 < 120
    for name, other, people in (("sheriff", "health", SHERIFF), ("health", "sheriff", HEALTH)):
        (asked,) = waiting.lists(name)
        assert (asked.other, asked.project, asked.epoch) == (other, waiting.project, 0)
        assert asked.entries == len(people) * QUOTA
        assert not asked.answered
        data = download(members[name], asked.run, other)
        assert hashlib.sha256(data).hexdigest() == asked.digest
        verify_quota(Requests.from_bytes(data), len(people), quota=QUOTA, within=False)
        middle = 7 * REQUEST_BYTES + 3
        assert download(members[name], asked.run, other, middle) == data[middle:]
        assert download(members[name], asked.run, other, len(data)) == b""
        with pytest.raises(InvalidRequestError, match="behind the end"):
            download(members[name], asked.run, other, len(data) + 1)
    (receipt,) = waiting.answer("sheriff")
    assert receipt.size == len(SHERIFF) * QUOTA * answer_bytes(FIELDS)
    assert waiting.lists("sheriff")[0].answered
    run = waiting.now
    assert list(run.waiting_for) == ["health"]
    assert run.step.startswith("waits for answers of health until 20")
    waiting.answer("health")
    report = waiting.report()
    pair = report["pairs"]["sheriff|health"]
    assert (pair["comparison"], pair["comparison_reason"]) == ("pair_keyed", "")
    assert pair["asked"]["candidates"] >= 30
    assert 0 < pair["asked"]["decoys"] <= len(SHERIFF) * QUOTA // 4
    assert set(pair["model"]["level_weights"]) == {"given_name", "surname", "dob"}
    assert report["recommended"]["links"] == 30
    wait_until_cleared(hub, waiting.run)
    assert waiting.lists("sheriff") == []
    with pytest.raises(TooLateError):
        download(members["sheriff"], waiting.run, "health")


def test_only_the_partner_itself_gets_its_list(shared, members) -> None:
    with pytest.raises(NotFoundError):
        download(members["sheriff"], shared.run, "sheriff")
    with pytest.raises(NotFoundError):
        download(members["sheriff"], shared.run, "social")
    with pytest.raises(NotFoundError):
        download(members["outsider"], shared.run, "health")
    for name in ("social", "outsider"):
        with pytest.raises(NotFoundError):
            lists_of(members[name], shared.project)
    with pytest.raises(NotAuthorisedError):
        lists_of(members["county"], shared.project)


def test_the_deadline_passes(hub, waiting, members) -> None:
    """One has answered, the other is half-way: the run goes on by match keys, and says so."""
    waiting.answer("sheriff")
    health, (asked,) = members["health"], waiting.lists("health")
    data = waiting.data("health", asked)
    upload = health.create(waiting.header("health", asked, data)).upload
    health.write(upload, 0, [data[:5000]])
    pass_deadline(hub, waiting.run)
    report = waiting.report()
    pair = report["pairs"]["sheriff|health"]
    assert pair["comparison"] == "match_keys"
    assert pair["comparison_reason"].startswith("health had not answered by 20")
    assert report["recommended"]["links"] == 30
    wait_until_cleared(hub, waiting.run)
    with pytest.raises(TooLateError) as caught:
        health.write(upload, 5000, [data[5000:]])
    assert caught.value.reason == "TOO_LATE"
    with pytest.raises(TooLateError):
        health.finish(upload)
    with pytest.raises(TooLateError):
        health.create(waiting.header("health", asked, data))
    assert left_behind(hub, waiting.run) == []


def test_answers_that_are_whole_too_late_are_not_kept(hub, waiting, members) -> None:
    """The deadline passes between the last byte and the end of the upload."""
    health, (asked,) = members["health"], waiting.lists("health")
    data = waiting.data("health", asked)
    upload = health.create(waiting.header("health", asked, data)).upload
    health.write(upload, 0, [data])
    pass_deadline(hub, waiting.run)
    with pytest.raises(TooLateError):
        health.finish(upload)
    waiting.report()
    wait_until_cleared(hub, waiting.run)


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        ({"run": "0" * 32}, NotFoundError, "no such comparison"),
        ({"other": "sheriff"}, NotFoundError, "no such comparison"),
        ({"other": "social"}, NotFoundError, "no such comparison"),
        ({"requests": "0" * 64}, InvalidRequestError, "not to the list"),
        ({"fingerprint": "0" * 64}, FingerprintMismatchError, "another manifest"),
        ({"epoch": 1}, InvalidRequestError, "epoch 0"),
        ({"partner": "health"}, InvalidRequestError, "another partner"),
    ],
)
def test_answers_to_what_was_not_asked_are_refused(
    shared, members, changes, error, message
) -> None:
    (asked,) = shared.lists("sheriff")
    data = shared.data("sheriff", asked)
    with pytest.raises(error, match=message):
        members["sheriff"].create(shared.header("sheriff", asked, data, **changes))


def test_answers_of_another_size_or_signature_are_refused(shared, members) -> None:
    sheriff, (asked,) = members["sheriff"], shared.lists("sheriff")
    data = shared.data("sheriff", asked)
    width = answer_bytes(FIELDS)
    for short, changes in (
        (data[:-width], {"entries": asked.entries - 1}),
        (data + data[:width], {"entries": asked.entries + 1}),
        (data[: len(data) // FIELDS], {"fields": 1}),
    ):
        with pytest.raises(InvalidRequestError, match="not to the list"):
            sheriff.create(shared.header("sheriff", asked, short, **changes))
    header = json.loads(shared.header("sheriff", asked, data).canonical)
    header["size"] -= 1
    told = json.dumps(header, sort_keys=True, separators=(",", ":")).encode()
    with pytest.raises(InvalidRequestError, match="invalid at"):
        sheriff.create(told)
    said = shared.header("sheriff", asked, data)
    with pytest.raises(SignatureError):
        sheriff.create(said, signature=members["health"].signature(said.canonical))


def test_content_that_no_agent_writes_is_refused_and_can_be_sent_again(waiting, members) -> None:
    sheriff, (asked,) = members["sheriff"], waiting.lists("sheriff")
    data = waiting.data("sheriff", asked)
    flags = FIELDS * 32
    for place, value in ((flags, 0x41), (len(data) - 1, 0x10), (flags, 0x00)):
        broken = bytearray(data)
        broken[place] = value
        upload = sheriff.create(waiting.header("sheriff", asked, bytes(broken))).upload
        sheriff.write(upload, 0, [bytes(broken)])
        with pytest.raises(InvalidRequestError, match="an answer"):
            sheriff.finish(upload)
        assert not waiting.lists("sheriff")[0].answered
    waiting.answer("sheriff")
    assert waiting.lists("sheriff")[0].answered


def test_truncated_answers_do_not_count_and_resume(waiting, members) -> None:
    sheriff, (asked,) = members["sheriff"], waiting.lists("sheriff")
    data = waiting.data("sheriff", asked)
    header = waiting.header("sheriff", asked, data)
    upload = sheriff.create(header).upload
    sheriff.write(upload, 0, [data[:1000]])
    with pytest.raises(NotReadyError, match="bytes of the upload are missing"):
        sheriff.finish(upload)
    with pytest.raises(LimitError):
        sheriff.write(upload, 1000, [data[1000:], b"x"])
    again = sheriff.create(header)
    assert again.upload == upload
    sheriff.write(upload, again.committed_size, [data[again.committed_size :]])
    sheriff.finish(upload)
    assert waiting.lists("sheriff")[0].answered


def test_other_bytes_than_announced_are_refused(shared, members) -> None:
    sheriff, (asked,) = members["sheriff"], shared.lists("sheriff")
    data = shared.data("sheriff", asked)
    upload = sheriff.create(shared.header("sheriff", asked, data[::-1])).upload
    sheriff.write(upload, 0, [data])
    with pytest.raises(DigestMismatchError):
        sheriff.finish(upload)
    assert not shared.lists("sheriff")[0].answered


def test_a_comparison_is_answered_once(waiting, members) -> None:
    sheriff, (asked,) = members["sheriff"], waiting.lists("sheriff")
    data = waiting.data("sheriff", asked)
    first, second = (waiting.header("sheriff", asked, data) for _ in range(2))
    upload = sheriff.create(first).upload
    sheriff.write(upload, 0, [data])
    receipt = sheriff.finish(upload)
    assert sheriff.finish(upload) == receipt
    assert sheriff.create(first).upload == upload
    with pytest.raises(AlreadyExistsError, match="has answered"):
        sheriff.create(second)


def test_nobody_else_waits_for_a_run_that_waits(waiting, steward, members) -> None:
    manifest = agreed(steward, members, make_manifest())
    for seed, name in enumerate(manifest.partner_names):
        members[name].upload(manifest, raw(small_matrix(manifest, seed)))
    run = steward.start_run(manifest.project).run
    assert wait_for_end(steward, run).state == run_pb2.RUN_STATE_SUCCEEDED
    pair = steward.report(run)["pairs"]["sheriff|health"]
    assert pair["comparison"] == "match_keys"
    assert pair["comparison_reason"] == "the manifest has no pair-keyed comparison"
    assert waiting.now.state == run_pb2.RUN_STATE_WAITING


def test_a_run_cancelled_while_it_waits_forgets_everything(hub, waiting, steward, members) -> None:
    waiting.answer("sheriff")
    (asked,) = waiting.lists("health")
    data = waiting.data("health", asked)
    assert steward.cancel(waiting.run).state == run_pb2.RUN_STATE_CANCELLED
    assert waiting.lists("sheriff") == []
    with pytest.raises(TooLateError):
        members["health"].create(waiting.header("health", asked, data))
    with pytest.raises(TooLateError):
        download(members["health"], waiting.run, "sheriff")
    wait_until_cleared(hub, waiting.run)
    with pytest.raises(CancelledError):
        wait_for_end(steward, waiting.run)


def test_a_list_within_one_file(hub, steward, members) -> None:
    """Whoever may stand twice in a file is compared with the others of it."""
    partners = [{"name": "sheriff"}, {"name": "health", "unique": False}]
    this = Round(steward, members, partners=partners)
    this.people["health"] = [*HEALTH, *HEALTH[:20]]
    this.start()
    by_other = {asked.other: asked for asked in this.lists("health")}
    assert set(by_other) == {"sheriff", "health"}
    inside = Requests.from_bytes(download(members["health"], this.run, "health"))
    verify_quota(inside, 100, quota=QUOTA, within=True)
    assert list(this.now.waiting_for) == ["health", "sheriff"]
    for name in ("sheriff", "health"):
        this.answer(name)
    report = this.report()
    assert {pair["comparison"] for pair in report["pairs"].values()} == {"pair_keyed"}
    assert report["pairs"]["health|health"]["recommended"]["links"] == 20


def test_one_partner_of_three_is_away(hub, steward, members) -> None:
    names = ("sheriff", "health", "social")
    this = Round(steward, members, partners=[{"name": name} for name in names])
    this.people["social"] = SHERIFF
    this.start()
    assert {asked.other for asked in this.lists("social")} == {"sheriff", "health"}
    for name in ("sheriff", "social"):
        this.answer(name)
    pass_deadline(hub, this.run)
    report = this.report()
    how = {name: pair["comparison"] for name, pair in report["pairs"].items()}
    assert how == {
        "sheriff|health": "match_keys",
        "sheriff|social": "pair_keyed",
        "health|social": "match_keys",
    }
    assert report["pairs"]["sheriff|social"]["recommended"]["links"] == 60


@pytest.mark.parametrize("people", [[30], [500]], ids=["a match", "nobody"])
def test_a_partner_with_one_row(steward, members, people) -> None:
    this = Round(steward, members)
    this.people["sheriff"] = people
    this.start()
    for name in ("sheriff", "health"):
        (asked,) = this.lists(name)
        data = download(members[name], this.run, asked.other)
        rows = len(this.people[name])
        verify_quota(Requests.from_bytes(data), rows, quota=QUOTA, within=False)
        this.answer(name)
    pair = this.report()["pairs"]["sheriff|health"]
    assert pair["comparison"] == "pair_keyed"
    assert pair["rows_left"] == 1


def test_rows_without_any_field_say_nothing(waiting) -> None:
    """A file may hold rows of which nothing is known; they are answered, and link to nobody."""
    waiting.answer("sheriff", missing=range(60))
    waiting.answer("health")
    report = waiting.report()
    assert report["pairs"]["sheriff|health"]["comparison"] == "pair_keyed"
    assert report["recommended"]["links"] == 0


def test_a_hub_killed_while_runs_wait_goes_on_waiting(hub, waiting, steward, members) -> None:
    """Also where the last answer has come, and the hub died before it could go on."""
    done = Round(steward, members).start()
    waiting.answer("sheriff")
    before = waiting.lists("health")[0].digest
    for name in ("sheriff", "health"):
        done.answer(name)
    hub.kill()
    hub.start()
    give_up = time.monotonic() + 30
    while True:
        try:
            assert list(waiting.now.waiting_for) == ["health"]
            break
        except HubUnavailableError:
            assert time.monotonic() < give_up
    assert waiting.lists("health")[0].digest == before
    waiting.answer("health")
    for one in (done, waiting):
        assert one.report()["pairs"]["sheriff|health"]["comparison"] == "pair_keyed"
        wait_until_cleared(hub, one.run)


def test_a_run_whose_job_is_gone_is_ended(hub, waiting) -> None:
    """What a job leaves that could not even write that it failed."""
    with hub.database().transaction() as connection:
        assert update(connection, tables.run, {"id": waiting.run}, state="running")
    run = None
    give_up = time.monotonic() + 30
    while run is None or run.state == run_pb2.RUN_STATE_RUNNING:
        assert time.monotonic() < give_up
        run = waiting.now
        time.sleep(0.05)
    assert (run.state, run.reason) == (run_pb2.RUN_STATE_FAILED, "INTERNAL")
    wait_until_cleared(hub, waiting.run)
