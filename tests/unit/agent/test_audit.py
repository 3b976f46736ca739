"""The audit of a partner's file, from file to report and exit code."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from linkage.agent import audit as auditing
from linkage.agent.source import SourceFile
from linkage.agreement import Manifest, parse_manifest
from linkage.cli.main import app
from linkage.errors import InputError
from linkage.risk import Policy
from linkage.synthetic.county import County, CountyFiles, write_county

PEOPLE = 1_400


@pytest.fixture(scope="module")
def county(tmp_path_factory: pytest.TempPathFactory) -> CountyFiles:
    return write_county(County.make(people=PEOPLE, seed=3), tmp_path_factory.mktemp("county"))


@pytest.fixture(scope="module")
def one_key(county: CountyFiles) -> Manifest:
    """The county's manifest, cut down to its first match key."""
    document = json.loads(county.manifest.read_bytes())
    document["match_keys"] = document["match_keys"][:1]
    return parse_manifest(json.dumps(document).encode())


def test_audit_breaks_its_control_and_says_so_on_the_page(
    county: CountyFiles, one_key: Manifest, tmp_path: Path
) -> None:
    manifest = tmp_path / "manifest.json"
    manifest.write_bytes(one_key.canonical)
    arguments = ["agent", "audit", str(county.identifiers["social"]), "--quick", "--seed", "1"]
    arguments += ["--manifest", str(manifest), "--partner", "social", "--json"]
    # Of some hundred people nobody can show that fewer than one in 200 is re-identified.
    arguments += ["--limit", "0.05", "--known-limit", "0.2", "--report", str(tmp_path / "report")]
    done = CliRunner().invoke(app, arguments)
    found = json.loads(done.stdout)
    assert found["control"]["rate"] > 0.95
    assert not found["harness_too_weak"]
    assert (done.exit_code == 0) == found["passed"], done.output
    written = json.loads((tmp_path / "report" / "audit.json").read_bytes())
    assert written == found
    page = (tmp_path / "report" / "audit.html").read_text()
    assert "known plaintext, likeness" in page
    for surname in ("Garcia", "Smith", "Johnson"):
        assert surname.lower() not in page.lower() + done.stdout.lower()


def test_an_audit_above_policy_or_too_weak_passes_nothing(
    county: CountyFiles, one_key: Manifest, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(auditing, "FEWEST", 100)
    source = SourceFile(county.identifiers["social"])
    found = auditing.audit(
        one_key,
        one_key.partner("social"),
        source,
        rows=150,
        policy=Policy(unknown=0.0, known=0.0),
        seed=1,
    )
    assert found.above
    assert not found.passed
    weak = auditing.Audit(
        found.records,
        found.rows,
        found.findings,
        auditing.Outcome("alignment", 10, 150, 150, 150),
        found.signature,
        (),
        Policy(1.0, 1.0),
    )
    assert weak.too_weak
    assert not weak.passed


def test_too_few_records_are_refused(county: CountyFiles, one_key: Manifest) -> None:
    with pytest.raises(InputError, match="500 distinct records"):
        auditing.audit(
            one_key,
            one_key.partner("social"),
            SourceFile(county.identifiers["social"]),
            rows=100,
            policy=Policy(),
        )
