"""The four questions, laws that travel with a source, and what a manifest warns of."""

from __future__ import annotations

from typing import Any

import pytest

from linkage.agreement import Manifest
from linkage.agreement.governance import QUESTIONS
from linkage.agreement.policies import RULES, policies_of

from .test_manifest import FULL, changed, parse


def with_policies(*policies: dict[str, Any], table: tuple[dict[str, Any], ...] = ()) -> Manifest:
    document = changed(("partners", 0, "policies"), list(policies))
    document["partners"][0]["content"][0]["policies"] = list(table)
    document["policy_tags"] = [{"tag": "STATE-1", "title": "T", "bases": ["ours"]}]
    document["audit"] = {}
    return parse(document)


def test_an_answered_manifest_leaves_nothing_open() -> None:
    assert parse(FULL).unanswered == ()


@pytest.mark.parametrize("setting", QUESTIONS)
@pytest.mark.parametrize("text", ["", "  \n", "To be written", "to be written: the law."])
def test_an_open_question_is_named_as_people_ask_it(setting: str, text: str) -> None:
    assert parse(changed(("governance", setting), text)).unanswered == (QUESTIONS[setting],)


def test_a_manifest_without_governance_leaves_all_open() -> None:
    document = changed(("purpose",), "To be written: what for.")
    del document["governance"]
    assert parse(document).unanswered == ("What is it for?", *QUESTIONS.values())


def test_part_2_content_without_consent_or_exception_is_warned_of() -> None:
    (warning,) = with_policies(table=({"tag": "42-CFR-PART-2"},)).warnings
    assert warning.startswith("partner 'north', table 'visits': 42-CFR-PART-2 without a legal")
    assert "consent or an exception: consent, research, audit-evaluation" in warning


@pytest.mark.parametrize("tag", RULES)
def test_every_built_in_tag_takes_its_own_grounds_and_no_other(tag: str) -> None:
    for basis in RULES[tag].bases:
        assert not [w for w in with_policies({"tag": tag, "basis": basis}).warnings if "knows" in w]
    (warning,) = with_policies({"tag": tag, "basis": "because"}).warnings
    assert f"{tag} knows no basis 'because'" in warning


def test_a_declared_tag_is_held_to_its_declared_grounds() -> None:
    assert with_policies({"tag": "STATE-1", "basis": "ours"}).warnings == ()
    assert "knows no basis" in with_policies({"tag": "STATE-1", "basis": "other"}).warnings[0]


def test_safe_harbor_keeps_no_months() -> None:
    basis = {"tag": "HIPAA", "basis": "de-identified"}
    (warning,) = with_policies(basis).warnings
    assert "table 'visits'" in warning
    assert "day keeps months" in warning


def test_a_table_is_under_its_partners_laws_unless_it_says_otherwise() -> None:
    of_partner = {"tag": "HIPAA", "basis": "waiver"}
    of_table = {"tag": "HIPAA", "basis": "authorization"}
    manifest = with_policies(of_partner, {"tag": "CJIS", "basis": "research"}, table=(of_table,))
    partner = manifest.partners[0]
    assert [(p.tag, p.basis) for p in policies_of(partner, partner.content[0])] == [
        ("HIPAA", "authorization"),
        ("CJIS", "research"),
    ]
    assert [p.basis for p in policies_of(partner)] == ["waiver", "research"]


def test_a_file_that_is_not_unique_may_repeat_itself() -> None:
    document = changed(("partners", 0), {"name": "north", "unique": False})
    manifest = parse(document)
    assert [p.duplicates for p in manifest.partners] == [0.95, 0.1]
