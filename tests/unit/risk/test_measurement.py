"""`make risk` on small files: it says when it proves nothing, and the default withstands it."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from linkage.agreement.manifest import Minhash, Saul
from linkage.risk import by_differences, control_trial, judge, unseeded
from tests.bench import risk
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


@pytest.mark.parametrize("scheme", [Saul(name="saul-v1"), Minhash(name="minhash-v1")])
def test_hardened_encodings_withstand_where_plain_filters_fall(scheme: Saul | Minhash) -> None:
    files = Files(400, 1.0, 0)
    rng = np.random.default_rng(0)
    plain = control_trial(*files.tokens(), files.truth, rng)
    assert unseeded(plain, rng).rate > 0.95
    assert judge("differences", plain, by_differences(plain, rng)).lift > 8
    case = risk.Case(files, risk.together(files, files.drafted(scheme)), 0)
    for outcome in (*risk.graph(case), *risk.homomorphism(case)):
        # Guesses at random name one on average; secrets are drawn anew every time.
        assert outcome.right <= 12, outcome
