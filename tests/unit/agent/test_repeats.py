"""Match keys whose values repeat: what the audit says of them, and that it refuses them."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from linkage.agent import audit as auditing
from linkage.agent.audit import NONE_SKIPPED, QUICK, audit
from linkage.agent.audited import Audits, described
from linkage.agent.source import SourceFile
from linkage.agreement import Manifest, parse_manifest
from linkage.agreement.audits import Verdict
from linkage.cli.main import app
from linkage.errors import RiskError
from linkage.reports.risk import risk_page
from linkage.risk.attacks import ATTACKS
from linkage.synthetic.county import County, CountyFiles, write_county

CITY = {"name": "surname-city", "fields": ["surname", "city"]}


@pytest.fixture(scope="module")
def county(tmp_path_factory: pytest.TempPathFactory) -> CountyFiles:
    return write_county(County.make(people=2_200, seed=3), tmp_path_factory.mktemp("county"))


@pytest.fixture(autouse=True)
def _one_attack(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(auditing, "ATTACKS", ATTACKS[:1])
    monkeypatch.setattr(auditing, "QUICK", replace(QUICK, control=550))


def manifest_of(county: CountyFiles, *keys: dict[str, Any], **settings: Any) -> Manifest:
    document = json.loads(county.manifest.read_bytes())
    document["match_keys"] = [*keys] or document["match_keys"]
    # An exception covers what attacks find, and not what is looked at here.
    document["audit"] = {"known": 1.0}
    return parse_manifest(json.dumps(document | settings).encode())


def test_a_match_key_that_repeats_is_refused_and_the_report_says_why(
    county: CountyFiles, tmp_path: Path
) -> None:
    source, manifest = SourceFile(county.identifiers["social"]), manifest_of(county, CITY)
    found = audit(manifest, manifest.partner("social"), source, auditing.QUICK, seed=1)
    (city,) = found.repeated
    assert (city.name, city.repeats.rows, city.repeats.values, city.repeats.most) == (
        "surname-city",
        967,
        750,
        8,
    )
    assert city.repeats.distinct == 750 / 967
    assert found.summary.commonest == round(city.lower or 0, 6) > manifest.audit.commonest
    assert (found.summary.verdict, found.broken) == (Verdict.BROKEN, {})
    page = risk_page(described(manifest, "social", found))
    assert "its commonest value: 8 of 967 records" in page
    assert "Equal values have equal encodings under every scheme" in page
    with pytest.raises(RiskError, match="the commonest value of surname-city is that of 8 of 967"):
        Audits(tmp_path, manifest, "social").require(
            source, "d" * 64, NONE_SKIPPED, lambda *_: None
        )


def test_a_match_key_of_few_values_is_refused_though_it_is_not_attacked(
    county: CountyFiles,
) -> None:
    manifest = manifest_of(county, {"name": "coarse", "fields": ["sex", "city"]})
    source = SourceFile(county.identifiers["social"])
    found = audit(manifest, manifest.partner("social"), source, auditing.QUICK, seed=1)
    assert (found.skipped, found.findings, found.summary.rows) == (("coarse",), (), 0)
    assert found.summary.verdict is Verdict.BROKEN
    assert "its commonest value" in risk_page(described(manifest, "social", found))


@pytest.mark.parametrize("partner", ["sheriff", "health", "social"])
def test_the_sample_manifest_keeps_the_limit(county: CountyFiles, partner: str) -> None:
    manifest = manifest_of(county)
    source = SourceFile(county.identifiers[partner])
    found = audit(manifest, manifest.partner(partner), source, auditing.QUICK, seed=1)
    assert found.summary.commonest is not None
    assert found.summary.commonest < manifest.audit.commonest / 2
    held = {one.name for one in found.repeated if one.lower is not None}
    assert held <= {key.name for key in manifest.match_keys}
    assert len(held) >= 4
    assert found.summary.verdict is not Verdict.BROKEN


def test_what_lies_open_is_told_in_the_report_and_by_the_command(
    county: CountyFiles, tmp_path: Path
) -> None:
    path = tmp_path / "manifest.json"
    birth = {"name": "surname-birth", "fields": ["surname", "date_of_birth"]}
    path.write_bytes(manifest_of(county, birth, CITY).canonical)
    words = ["agent", "audit", str(county.identifiers["social"]), "--quick", "--seed", "1"]
    words += ["--manifest", str(path), "--partner", "social", "--report", str(tmp_path / "report")]
    done = CliRunner().invoke(app, words)
    assert done.exit_code == RiskError.exit_code, done.output
    said = " ".join(done.output.split())
    assert "surname-city 77.6% 0.83%" in said
    assert "ABOVE POLICY, surname-city: its commonest value is that of 8 of 967 records" in said
    assert "allowed 0.10%" in said
    assert "as a signature:" in said
    page = (tmp_path / "report" / "audit.html").read_text()
    for text in ("77.6%", "popcount skew", "named by counting", "match keys that are there"):
        assert text in page
    kept = json.loads((tmp_path / "report" / "audit.json").read_bytes())
    assert set(kept["signature"]) == {"presence", "shared", "alone"}
    assert kept["signature"]["shared"] > 0
    names = [one["name"] for one in kept["repeated"]]
    assert names == ["surname-birth", "surname-city", "all match keys together"]
