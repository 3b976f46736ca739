"""What an agent keeps of the rounds it answers, so that no hub asks twice or in another way."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from linkage.agent.rounds import Ledger, by_run, forget_ended
from linkage.errors import AgreementError, LimitError
from linkage.v1 import comparison_pb2 as pb


def test_the_first_list_of_a_comparison_is_the_only_one(tmp_path: Path) -> None:
    path = tmp_path / "agreed.json"
    Ledger(path).enter("a", {"south": "1", "west": "2"}, most_runs=2)
    Ledger(path).enter("a", {"south": "1"}, most_runs=2)
    with pytest.raises(AgreementError, match="second list for the comparison with 'south'"):
        Ledger(path).enter("a", {"south": "9"}, most_runs=2)


def test_the_number_of_runs_is_bounded(tmp_path: Path) -> None:
    path = tmp_path / "agreed.json"
    for run in ("a", "b"):
        Ledger(path).enter(run, {"south": "1"}, most_runs=2)
    with pytest.raises(LimitError, match="answered 2 runs"):
        Ledger(path).enter("c", {"south": "1"}, most_runs=2)
    Ledger(path).enter("b", {"west": "3"}, most_runs=2)
    assert set(json.loads(path.read_bytes())) == {"a", "b"}


def test_lists_are_taken_run_by_run() -> None:
    asked = [pb.Comparison(run=run, other=other) for run, other in ("bz", "ay", "bx")]
    assert {run: [one.other for one in lists] for run, lists in by_run(asked).items()} == {
        "a": ["y"],
        "b": ["x", "z"],
    }


def test_what_no_run_waits_for_is_deleted(tmp_path: Path) -> None:
    for name in ("round-a", "round-b", "other"):
        (tmp_path / name / "south").mkdir(parents=True)
    forget_ended(tmp_path, ["b"])
    assert sorted(path.name for path in tmp_path.iterdir()) == ["other", "round-b"]
