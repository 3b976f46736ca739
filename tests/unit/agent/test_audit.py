"""The audit of a partner's file, from file to report, exit code and what submit keeps."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from markupsafe import escape
from typer.testing import CliRunner

from linkage.agent import audit as auditing
from linkage.agent import audited
from linkage.agent import source as sources
from linkage.agent.agent import Agent
from linkage.agent.audit import FULL, NONE_SKIPPED, QUICK, Audit, Depth, audit
from linkage.agent.audited import Audits, described
from linkage.agent.finding import Tried, bounds_of
from linkage.agent.source import SourceFile
from linkage.agent.table import RecordTable
from linkage.agent.targets import Encodings
from linkage.agreement import Manifest, parse_manifest
from linkage.agreement.audits import Bounds, Verdict
from linkage.cli.auditing import TOO_WEAK
from linkage.cli.common import audit_lines
from linkage.cli.main import app
from linkage.errors import RiskError
from linkage.reports.risk import risk_page
from linkage.risk import Outcome
from linkage.risk.attacks import ATTACKS
from linkage.risk.evidence import proven
from linkage.synthetic.county import County, CountyFiles, write_county

PEOPLE = 2_200


def nothing(_step: str, _done: int, _total: int) -> None:
    pass


@pytest.fixture(scope="module")
def county(tmp_path_factory: pytest.TempPathFactory) -> CountyFiles:
    return write_county(County.make(people=PEOPLE, seed=3), tmp_path_factory.mktemp("county"))


def manifest_of(county: CountyFiles, keys: int = 2, **settings: Any) -> Manifest:
    document = json.loads(county.manifest.read_bytes())
    document["match_keys"] = document["match_keys"][:keys]
    saul = {"scheme": {"name": "saul-v1"}, "audit": {}}
    return parse_manifest(json.dumps(document | saul | settings).encode())


@pytest.fixture(scope="module")
def social(county: CountyFiles) -> SourceFile:
    return SourceFile(county.identifiers["social"])


def test_every_attack_is_made_and_told_on_the_page(county: CountyFiles, social: SourceFile) -> None:
    manifest = manifest_of(county, keys=1, scheme={"name": "minhash-v1"})
    depth = replace(FULL, control=550)
    found = audit(manifest, manifest.partner("social"), social, depth, seed=1)
    assert found.summary.attacks == tuple(a.name for a in ATTACKS if a.of != "plain filters")
    assert found.control is not None
    assert found.control.rate > 0.95
    assert found.summary.known is not None
    assert found.summary.known.lower < manifest.audit.known
    assert [finding.name for finding in found.findings] == ["surname-birth"]
    assert found.summary.whole
    report = described(manifest, "social", found)
    assert json.loads(json.dumps(report)) == report
    page = risk_page(report)
    made = [one for one in ATTACKS if one.of != "plain filters"]
    assert all(escape(text) in page for one in made for text in (one.how, one.needs))
    assert "answer_runs" not in page
    broken = json.loads(json.dumps(report))
    broken["summary"]["verdict"] = "broken"
    for one in broken["findings"][0]["tried"]:
        one["verdict"] = "broken" if one["attack"] == "round, curious hub" else "passed"
    assert "lower matching.answer_runs" in risk_page(broken)
    for surname in ("garcia", "smith", "johnson"):
        assert surname not in page.lower() + json.dumps(report).lower()


def test_saul_breaks_and_the_command_says_where(
    county: CountyFiles, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(auditing, "ATTACKS", ATTACKS[:2])
    monkeypatch.setattr(auditing, "QUICK", replace(QUICK, control=550))
    path = tmp_path / "manifest.json"
    path.write_bytes(manifest_of(county, keys=2).canonical)
    arguments = ["agent", "audit", str(county.identifiers["social"]), "--quick", "--seed", "1"]
    arguments += ["--manifest", str(path), "--partner", "social", "--json"]
    done = CliRunner().invoke(app, [*arguments, "--report", str(tmp_path / "report")])
    assert done.exit_code == RiskError.exit_code, done.output
    found = json.loads(done.stdout)
    names = [finding["name"] for finding in found["findings"]]
    assert names == ["surname-birth", "given-address", "all match keys together"]
    assert (found["summary"]["verdict"], found["refused"]) == ("broken", True)
    broken = [one for one in found["findings"][0]["tried"] if one["verdict"] == "broken"]
    assert "law" in {one["attack"] for one in broken}
    assert json.loads((tmp_path / "report" / "audit.json").read_bytes()) == found
    told = {one["attack"]: one["told"] for one in found["findings"][0]["tried"]}
    law = next(one for one in broken if one["attack"] == "law")
    assert told["law"] == round(990 / 10)
    assert law["lift"] == pytest.approx(law["rate"] * (law["register"] - told["law"]), abs=0.01)
    page = (tmp_path / "report" / "audit.html").read_text()
    assert "minhash-v1" in page
    assert "of how many people the attacker knows" in page
    assert "surname-birth" in page


def test_the_command_says_how_much_better_than_chance_attacks_are(
    county: CountyFiles, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(auditing, "ATTACKS", ATTACKS[:1])
    path = tmp_path / "manifest.json"
    path.write_bytes(manifest_of(county, keys=1).canonical)
    words = ["agent", "audit", str(county.identifiers["social"]), "--quick", "--seed", "1"]
    done = CliRunner().invoke(app, [*words, "--manifest", str(path), "--partner", "social"])
    said = " ".join(done.output.split())
    lift = re.search(r"named, times chance at most .* active hub surname-birth ([\d.]+)", said)
    assert lift is not None, said
    assert float(lift[1]) > 100
    assert re.search(r"law \(\d+ of \d+, 99 told, \d+ times chance\)", said)


def made_on(people: int, right: int, name: str) -> Tried:
    attack = next(one for one in ATTACKS if one.name == name)
    outcome = Outcome(name, right, people, people, people)
    return Tried(attack, outcome, proven(outcome, 10), 0.005)


def test_the_largest_bounds_count() -> None:
    assert bounds_of([]) is None
    one, other = made_on(3_000, 60, "alignment"), made_on(600, 1, "differences")
    assert bounds_of([one, other]) == Bounds(
        lower=round(one.lower, 6), upper=round(one.outcome.upper, 6)
    )


@pytest.mark.parametrize(("people", "verdict"), [(1_999, "not-shown"), (2_000, "broken")])
def test_of_few_people_a_round_is_shown_but_breaks_no_policy(people: int, verdict: str) -> None:
    tried = made_on(people, 60, "round")
    assert tried.verdict.value == verdict
    assert tried.as_json()["judged"] is (verdict == "broken")
    found = bounds_of([tried])
    assert found is not None
    assert (found.lower > 0.005, found.upper > 0.03) == (verdict == "broken", True)
    assert made_on(people, 60, "alignment").verdict is Verdict.BROKEN


def test_an_audit_that_may_stop_stops_at_the_first_break(
    county: CountyFiles, social: SourceFile
) -> None:
    manifest = manifest_of(county)
    found = audit(manifest, manifest.partner("social"), social, QUICK, stop=True)
    assert found.summary.attacks == ("law",)
    assert found.summary.control is None
    assert found.summary.verdict is Verdict.BROKEN


def test_too_few_records_prove_nothing_and_are_attacked_by_nobody(
    county: CountyFiles, social: SourceFile
) -> None:
    manifest = manifest_of(county)
    found = audit(manifest, manifest.partner("social"), social, replace(QUICK, rows=200))
    assert found.summary.verdict is Verdict.TOO_FEW
    assert found.findings == ()
    assert (found.summary.unknown, found.summary.known, found.control) == (None, None, None)
    assert len(found.skipped) == found.summary.skipped == 3
    assert "Too few distinct records" in risk_page(described(manifest, "social", found))


def test_a_match_key_that_is_not_attacked_lets_nothing_pass(
    county: CountyFiles, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(auditing, "ATTACKS", ATTACKS[:1])
    source = social_with(county, tmp_path / "social.csv", "MI", 499)
    keys = [
        {"name": "surname-birth", "fields": ["surname", "date_of_birth"]},
        {"name": "names", "fields": ["given_name", "middle_name", "surname"]},
    ]
    settings = {"scheme": {"name": "minhash-v1"}, "audit": {"known": 1.0}}
    manifest = manifest_of(county, match_keys=keys, **settings)
    depth = replace(QUICK, control=550)
    found = audit(manifest, manifest.partner("social"), source, depth, seed=1)
    assert found.skipped == ("names",)
    assert (found.summary.skipped, found.summary.verdict) == (1, Verdict.NOT_SHOWN)
    assert "names: too few distinct records" in risk_page(described(manifest, "social", found))
    (line,) = audit_lines({"social": found.summary.model_dump(mode="json")})
    assert "1 match keys not" in line
    manifest = manifest_of(county, match_keys=keys[:1], **settings)
    found = audit(manifest, manifest.partner("social"), source, depth, seed=1)
    assert (found.summary.skipped, found.summary.verdict) == (0, Verdict.PASSED)


def outcomes(*rates: int) -> Callable[..., Outcome]:
    """Of a control of 12 people so many are found, one try after the other."""
    left = iter(rates)
    return lambda trial, _: Outcome("alignment", next(left), 12, 12, 12)


def test_a_control_that_withstands_three_times_lets_nothing_be_sent(
    county: CountyFiles, social: SourceFile, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(auditing, "ATTACKS", ATTACKS[:1])
    monkeypatch.setattr(auditing, "unseeded", outcomes(9, 11, 9))
    manifest = manifest_of(county, scheme={"name": "minhash-v1"}, audit={"known": 1.0})
    with pytest.raises(RiskError, match=r"harness too weak: 91\.7%"):
        Audits(tmp_path, manifest, "social").require(social, "d" * 64, NONE_SKIPPED, nothing)
    page = (tmp_path / "audit.html").read_text()
    assert "Harness too weak" in page
    assert "submit refuses" in page
    assert "without --quick. If the control withstands there, too" in page


def test_who_made_the_full_audit_is_not_sent_to_make_it(
    county: CountyFiles, social: SourceFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(auditing, "ATTACKS", ATTACKS[:1])
    manifest = manifest_of(county, keys=1, scheme={"name": "minhash-v1"}, audit={"known": 0.003})
    for depth, more in ((QUICK, True), (replace(FULL, control=550), False)):
        found = audit(manifest, manifest.partner("social"), social, depth, seed=1)
        assert found.summary.verdict is Verdict.NOT_SHOWN
        page = risk_page(described(manifest, "social", found))
        assert ("without --quick" in page) == more
        assert ("This was the full audit" in page) != more


def test_a_control_may_withstand_by_bad_luck(
    county: CountyFiles, social: SourceFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(auditing, "ATTACKS", ATTACKS[:1])
    monkeypatch.setattr(auditing, "unseeded", outcomes(0, 9, 12))
    manifest = manifest_of(county, keys=1, scheme={"name": "minhash-v1"}, audit={"known": 1.0})
    found = audit(manifest, manifest.partner("social"), social, QUICK, seed=1)
    assert found.summary.control == 1.0
    assert found.summary.verdict is Verdict.PASSED


@pytest.mark.parametrize(
    ("born", "found", "exceptions", "code"),
    [
        (4, None, [], TOO_WEAK),
        (900, 9, [], RiskError.exit_code),
        (900, 9, [{"reason": "Made up."}], TOO_WEAK),
        (900, 12, [], 0),
    ],
)
def test_the_command_ends_with_a_code_that_says_whether_submit_would_send(
    county: CountyFiles,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    born: int,
    found: int | None,
    exceptions: list[dict[str, str]],
    code: int,
) -> None:
    monkeypatch.setattr(auditing, "ATTACKS", ATTACKS[:1])
    if found is not None:
        monkeypatch.setattr(auditing, "unseeded", outcomes(found, found, found))
    source = social_with(county, tmp_path / "social.csv", "BirthDate", born)
    keys = [
        {"name": "given-address", "fields": ["given_name", "address"]},
        {"name": "birth", "fields": ["surname", "date_of_birth"]},
    ]
    policy = {"known": 1.0, "exceptions": exceptions}
    manifest = manifest_of(county, scheme={"name": "minhash-v1"}, audit=policy, match_keys=keys)
    path = tmp_path / "manifest.json"
    path.write_bytes(manifest.canonical)
    words = ["agent", "audit", str(source.path), "--quick", "--seed", "1"]
    done = CliRunner().invoke(app, [*words, "--manifest", str(path), "--partner", "social"])
    assert done.exit_code == code, done.output
    assert ("too-weak" in done.output) == (found != 12)


def social_with(county: CountyFiles, path: Path, column: str, few: int) -> SourceFile:
    """The social agency's file, in which so few records have a column."""
    table = pd.read_csv(county.identifiers["social"], dtype=str, keep_default_na=False)
    there = np.flatnonzero((table[column] != "").to_numpy())
    table.loc[there[few:], column] = ""
    table.to_csv(path, index=False)
    return SourceFile(path)


@pytest.mark.parametrize("few", [0, 1, 4])
def test_a_control_of_few_people_proves_nothing(
    county: CountyFiles, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, few: int
) -> None:
    monkeypatch.setattr(auditing, "ATTACKS", ATTACKS[:1])
    source = social_with(county, tmp_path / "social.csv", "BirthDate", few)
    keys = [
        {"name": "given-address", "fields": ["given_name", "address"]},
        {"name": "birth", "fields": ["surname", "date_of_birth"]},
    ]
    manifest = manifest_of(
        county, scheme={"name": "minhash-v1"}, audit={"known": 1.0}, match_keys=keys
    )
    found = audit(manifest, manifest.partner("social"), source, QUICK, seed=1)
    assert found.summary.verdict is Verdict.TOO_WEAK
    assert found.summary.control is None
    assert "No control was made" in risk_page(described(manifest, "social", found))


def test_the_control_does_without_middle_names(
    county: CountyFiles, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(auditing, "ATTACKS", ATTACKS[:1])
    source = social_with(county, tmp_path / "social.csv", "MI", 4)
    keys = [
        {"name": "surname-birth", "fields": ["surname", "date_of_birth"]},
        {"name": "names", "fields": ["given_name", "middle_name", "surname"]},
    ]
    manifest = manifest_of(county, scheme={"name": "minhash-v1"}, match_keys=keys)
    found = audit(manifest, manifest.partner("social"), source, replace(QUICK, control=550))
    assert found.control is not None
    assert found.control.overlap == 550
    assert found.control.rate > 0.9


def manifest_of_filters(county: CountyFiles, *names: str) -> Manifest:
    hashing = {"comparison": {"type": "ngram", "n": 2}, "strategy": {"bitsPerFeature": 200}}
    features = [
        {
            "identifier": name,
            "format": {"type": "string", "encoding": "utf-8"},
            "hashing": hashing,
        }
        for name in names
    ]
    kdf = {"type": "HKDF", "hash": "SHA256", "salt": "", "info": "", "keySize": 64}
    schema = {"version": 3, "clkConfig": {"l": 1024, "kdf": kdf}, "features": features}
    scheme = {"name": "clk-v1", "linkage_schema": schema, "risk_acknowledged": True}
    keys = [{"name": "clk", "fields": list(names)}]
    return manifest_of(county, scheme=scheme, match_keys=keys)


def test_filters_of_a_linkage_schema_are_attacked_too(
    county: CountyFiles, social: SourceFile
) -> None:
    manifest = manifest_of_filters(county, "given_name", "surname", "date_of_birth")
    found = audit(manifest, manifest.partner("social"), social, QUICK, stop=True)
    assert found.summary.verdict is Verdict.BROKEN
    assert "law" not in found.summary.attacks


def test_filters_whose_values_repeat_are_tried_by_frequencies_and_patterns(
    county: CountyFiles, social: SourceFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(auditing, "ATTACKS", [a for a in ATTACKS if a.kind == "unknown"][:2])
    manifest = manifest_of_filters(county, "surname", "city")
    found = audit(manifest, manifest.partner("social"), social, QUICK, seed=1)
    assert found.summary.attacks == ("frequency", "patterns")
    (filters,) = found.findings
    (repeated,) = found.repeated
    assert repeated.repeats.rows == 990
    assert {one.outcome.overlap for one in filters.tried} == {repeated.repeats.values}
    assert all(one.outcome.right >= 2 for one in filters.tried)
    assert found.summary.verdict is Verdict.BROKEN


def test_filters_of_records_with_gaps_are_attacked_too(county: CountyFiles, tmp_path: Path) -> None:
    """A filter leaves, whichever fields a record lacks; of most records the middle name."""
    source = social_with(county, tmp_path / "social.csv", "MI", 150)
    names = ("given_name", "middle_name", "surname", "date_of_birth", "sex")
    manifest = manifest_of_filters(county, *names)
    found = audit(manifest, manifest.partner("social"), source, QUICK, seed=1, stop=True)
    assert found.summary.rows > 0.9 * found.records
    assert found.summary.verdict is Verdict.BROKEN


@pytest.mark.parametrize("told_by", [{"unique": False}, {"group": "case_person_id"}])
def test_one_record_of_each_person_is_attacked(
    county: CountyFiles, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, told_by: dict[str, Any]
) -> None:
    """A file that holds people twice, each time with another telephone."""
    monkeypatch.setattr(auditing, "ATTACKS", ATTACKS[:1])
    table = pd.read_csv(county.identifiers["social"], dtype=str, keep_default_na=False)
    people = table[(table["FirstName"] != "") & (table["BirthDate"] != "")].head(600)
    people = people.drop_duplicates(["FirstName", "LastName", "BirthDate"])
    twice = pd.concat([people, people])
    twice["Telephone"] = [f"630 555 {number:04d}" for number in range(len(twice))]
    twice.to_csv(tmp_path / "twice.csv", index=False)
    source = SourceFile(tmp_path / "twice.csv")
    keys = [{"name": "phone", "fields": ["surname", "phone"]}]
    manifest = manifest_of(county, scheme={"name": "minhash-v1"}, match_keys=keys)
    partner = manifest.partner("social").model_copy(update={"unique": True, "group": None})
    every = audit(manifest, partner, source, QUICK, stop=True)
    assert every.summary.rows == 2 * len(people)
    found = audit(manifest, partner.model_copy(update=told_by), source, QUICK, stop=True)
    assert found.records == found.read == len(twice)
    assert found.summary.rows == len(people)


def test_records_that_are_not_sent_are_no_part_of_the_audit(
    county: CountyFiles, social: SourceFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(auditing, "ATTACKS", ATTACKS[:1])
    manifest = manifest_of(county, keys=1)
    partner, skipped = manifest.partner("social"), np.arange(100, 300)
    every = audit(manifest, partner, social, QUICK, stop=True)
    found = audit(manifest, partner, social, QUICK, stop=True, skipped=skipped)
    assert (every.records - found.records, every.read - found.read) == (200, 200)
    assert every.summary.rows - found.summary.rows > 190
    assert found.summary.whole


def test_the_sample_is_the_same_in_batches_and_only_its_records_are_normalised(
    county: CountyFiles, social: SourceFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    manifest, counted = manifest_of(county), []
    readings = RecordTable.readings

    def count(self: RecordTable, field: Any, cells: Any, **more: Any) -> Any:
        counted.append(len(cells))
        return readings(self, field, cells, **more)

    monkeypatch.setattr(RecordTable, "readings", count)

    def sample() -> tuple[int, int, dict[str, float]]:
        table = RecordTable(manifest, manifest.partner("social"), social)
        found = Encodings(
            table, 60, np.random.default_rng(4), nothing, np.arange(90, 130), threads=1
        )
        common = found.commonness(["given_name", "surname", "date_of_birth", "address"])
        return found.records, found.read, common

    whole = sample()
    assert whole[:2] == (990 - 40, 60)
    assert max(counted) == 60
    monkeypatch.setattr(sources, "BATCH_ROWS", 50)
    counted.clear()
    assert sample() == whole
    assert sum(counted) < 0.5 * 990 * len(manifest.fields)


def test_submit_keeps_what_it_found_and_audits_a_file_once(
    county: CountyFiles, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = SourceFile(county.identifiers["social"])
    refusing = Audits(tmp_path / "audit", manifest_of(county), "social")
    with pytest.raises(RiskError, match="law on surname-birth names") as caught:
        refusing.require(source, "d" * 64, NONE_SKIPPED, nothing)
    assert str(refusing.page) in caught.value.message
    assert refusing.page.exists()
    excepted = manifest_of(county, audit={"exceptions": [{"reason": "Made up."}]})
    audits = Audits(tmp_path / "excepted", excepted, "social")
    first = audits.require(source, "d" * 64, NONE_SKIPPED, nothing)
    assert first.verdict is Verdict.BROKEN
    monkeypatch.setattr(auditing, "ATTACKS", ())
    assert audits.require(source, "d" * 64, NONE_SKIPPED, nothing) == first
    # Another manifest or file, fewer of its records, another version of linkage, and a file of
    # audits that is damaged are audited anew.
    other = manifest_of(county, audit={"exceptions": [{"reason": "Other."}]})
    anew = Audits(tmp_path / "excepted", other, "social")
    assert anew.require(source, "d" * 64, NONE_SKIPPED, nothing).verdict is Verdict.TOO_FEW
    assert audits.require(source, "e" * 64, NONE_SKIPPED, nothing).verdict is Verdict.TOO_FEW
    one = np.array([1])
    monkeypatch.setattr(auditing, "ATTACKS", ATTACKS[:1])
    assert audits.require(source, "e" * 64, one, nothing).verdict is Verdict.BROKEN
    monkeypatch.setattr(auditing, "ATTACKS", ())
    (tmp_path / "excepted" / "audit.json").write_bytes(b'{"made_from": ')
    assert audits.require(source, "d" * 64, NONE_SKIPPED, nothing).verdict is Verdict.TOO_FEW


def test_an_audit_of_the_whole_file_is_kept_and_used(
    county: CountyFiles, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source, manifest = SourceFile(county.identifiers["social"]), manifest_of(county, keys=1)
    audits = Audits(tmp_path / "audit", manifest, "social")

    def made(attacks: int, depth: Depth) -> Audit:
        monkeypatch.setattr(auditing, "ATTACKS", ATTACKS[:attacks])
        return audit(manifest, manifest.partner("social"), source, depth, stop=True)

    assert audits.keep("d" * 64, QUICK, made(0, QUICK))
    assert audits.keep("d" * 64, FULL, made(1, FULL))
    page = audits.page.read_text()
    assert not audits.keep("d" * 64, QUICK, made(0, QUICK))
    assert audits.page.read_text() == page
    # Nor does the quick audit of another file take its place, whose page then stands there.
    assert audits.require(source, "e" * 64, NONE_SKIPPED, nothing).verdict is Verdict.TOO_FEW
    assert audits.page.read_text() != page
    with pytest.raises(RiskError, match="law on surname-birth names"):
        audits.require(source, "d" * 64, NONE_SKIPPED, nothing)
    assert audits.page.read_text() == page


def test_the_audit_works_on_as_many_threads_as_submit_is_told(
    county: CountyFiles, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[Any] = []

    def stop(*_: Any, threads: int | None, **__: Any) -> None:
        told.append(threads)
        raise RiskError("enough")

    manifest, file = manifest_of(county), county.identifiers["social"]
    path = tmp_path / "manifest.json"
    path.write_bytes(manifest.canonical)
    for where in (auditing, audited):
        monkeypatch.setattr(where, "audit", stop)
    monkeypatch.setattr(Agent, "signed_manifest", lambda *_: manifest)
    monkeypatch.setattr(Agent, "_name", "social")
    submit = ["submit", str(file), "--project", manifest.project, "--dry-run"]
    alone = ["audit", str(file), "--manifest", str(path), "--partner", "social"]
    for words in (submit, alone):
        words += ["--home", str(tmp_path)]
        for more in (["--threads", "3"], []):
            CliRunner().invoke(app, ["agent", *words, *more])
    assert told == [3, None, 3, None]


def test_filters_made_elsewhere_count_as_broken_where_there_are_enough(
    county: CountyFiles, tmp_path: Path
) -> None:
    audits = Audits(tmp_path, manifest_of(county), "social")
    assert audits.require_of_filters(499).verdict is Verdict.TOO_FEW
    with pytest.raises(RiskError, match="published attacks"):
        audits.require_of_filters(500)
