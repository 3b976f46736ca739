"""`make risk` on small files: it says when it proves nothing, and the default withstands it."""

from __future__ import annotations

import json
import sys
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from linkage.agreement.manifest import Minhash, Saul
from linkage.risk import by_differences, control_trial, judge, unseeded
from tests.bench import attacked, risk
from tests.bench.registers import Files


def _run(monkeypatch: pytest.MonkeyPatch, out: Path, *asked: str) -> tuple[int, dict[str, Any]]:
    monkeypatch.setattr(sys, "argv", ["risk", "--out", str(out), *asked])
    code = risk.main()
    return code, json.loads(out.read_text())


def test_a_control_that_stands_fails_the_measurement(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    # Of so few people not even plain filters can be told apart without a known pair.
    code, found = _run(
        monkeypatch, tmp_path / "risk.json", "--only", "control", "--control-rows", "60"
    )
    assert code == 1
    assert found["control_clk_20"] < 0.85
    assert "harness too weak: control_clk_20" in capsys.readouterr().err


SMALL = ("--quick", "--control-rows", "2500", "--round-rows", "300", "--beyond-rows", "300")


def test_the_whole_measurement_on_small_files(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    small = (*SMALL, "--rows", "500", "--known", "50", "--overlaps", "1", "0.2", "--seeds", "1")
    code, found = _run(monkeypatch, tmp_path / "risk.json", *small)
    assert (code, capsys.readouterr().err, found["missing"]) == (0, "", [])
    # Of so few people bounds are loose: a dozen of 500 by chance and likeness, five of 100.
    assert found["default_graph_upper"] < 0.15
    assert found["default_homomorphism_upper"] < 0.15
    assert found["default_known5000_upper"] < 0.25
    # A hub that chooses its pairs counts, in the large file and in the smaller one.
    for name in ("round_chosen_4_pairs", "round_chosen_4_pairs_300"):
        assert found["default_round_upper"] >= found["attacks"][name][0]["upper"]
    # Of 300 people eight pairs a row name up to one in three (ADR 39).
    assert found["default_round_upper"] < 0.6


def test_a_scheme_that_is_broken_exceeds_its_bar_and_nothing_is_proven_without_controls(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    broken = ("--only", "graph", "--scheme", "saul-v1", "--hashes", "2", "--overlaps", "1")
    code, found = _run(monkeypatch, tmp_path / "risk.json", *SMALL, *broken, "--rows", "500")
    assert found["default_graph_upper"] > 0.9
    assert code == 1
    assert "nothing is proven: control_clk_full was not made" in capsys.readouterr().err
    assert "default_round_upper" in found["missing"]


def test_a_bar_that_is_exceeded_fails_the_measurement(tmp_path: Path) -> None:
    report = risk.Report(tmp_path / "risk.json", nullcontext())
    report.begin({})
    for name in risk.CONTROLS:
        report.set(name, 1.0)
    for name in risk.BARS:
        report.set(name, 0.004 if name.startswith("default") else 1.0)
    assert report.failures(whole=True) == []
    report.set("default_round_upper", 0.0051)
    assert report.failures(whole=False) == []
    assert report.failures(whole=True) == ["default_round_upper is 0.0051, above 0.005"]


@pytest.mark.parametrize("scheme", [Saul(name="saul-v1"), Minhash(name="minhash-v1")])
def test_hardened_encodings_withstand_where_plain_filters_fall(scheme: Saul | Minhash) -> None:
    files = Files(400, 1.0, 0)
    rng = np.random.default_rng(0)
    plain = control_trial(*files.tokens(), files.truth, rng)
    assert unseeded(plain, rng).rate > 0.95
    assert judge("differences", plain, by_differences(plain, rng)).lift > 8
    case = attacked.Case(files, attacked.together(files, files.drafted(scheme)), 0)
    for outcome in (*attacked.graph(case), *attacked.homomorphism(case)):
        # Guesses at random name one on average; secrets are drawn anew every time.
        assert outcome.right <= 12, outcome
