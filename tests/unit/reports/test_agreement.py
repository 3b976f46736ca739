"""The text that people sign says everything that is signed, and cannot be made to lie."""

from __future__ import annotations

import copy
import json
import re
from typing import Any

import pytest

from linkage.agreement import Manifest, parse_manifest
from linkage.agreement.governance import QUESTIONS
from linkage.reports.agreement import agreement_page, agreement_text
from linkage.reports.text import WIDTH
from linkage.synthetic.agreement import demo_manifest


def manifest_of(**settings: Any) -> Manifest:
    """The county's, with nothing in it that is warned of: no days beside months, no exception."""
    document = copy.deepcopy(demo_manifest()) | {"scheme": {"name": "minhash-v1"}, "audit": {}}
    for partner in document["partners"]:
        for table in partner["content"]:
            table["fields"] = [f for f in table["fields"] if f.get("transform") != "day"]
    return parse_manifest(json.dumps(document | settings).encode())


@pytest.fixture(scope="module")
def manifest() -> Manifest:
    return manifest_of()


def plain(text: str) -> str:
    return " ".join(text.split())


def test_every_leaf_of_what_is_signed_is_in_text_and_page(manifest: Manifest) -> None:
    text, page = plain(agreement_text(manifest)), plain(re.sub(r"<[^>]*>", " ", _page(manifest)))
    for leaf in _leaves(json.loads(manifest.canonical)):
        assert plain(leaf) in text, leaf
        assert plain(leaf) in page, leaf


def _page(manifest: Manifest) -> str:
    page = agreement_page(manifest)
    for escaped, char in (("&#39;", "'"), ("&#34;", '"'), ("&gt;", ">"), ("&lt;", "<")):
        page = page.replace(escaped, char)
    return page.replace("&amp;", "&")


def _leaves(value: Any) -> list[str]:
    if isinstance(value, dict):
        return [leaf for inner in value.values() for leaf in _leaves(inner)]
    if isinstance(value, list):
        return [leaf for inner in value for leaf in _leaves(inner)]
    return [value if isinstance(value, str) else json.dumps(value)]


def test_the_fingerprint_ends_it_as_hex_and_in_groups(manifest: Manifest) -> None:
    end = agreement_text(manifest).splitlines()[-3:]
    assert manifest.fingerprint in end[0]
    spoken = "".join(re.findall(r"\b[0-9a-f]{4}\b", " ".join(end[1:])))
    assert spoken == manifest.fingerprint


def test_open_questions_come_first_and_loudly() -> None:
    manifest = manifest_of(governance={"legal": "L"})
    text = plain(agreement_text(manifest))
    missing = " ".join(list(QUESTIONS.values())[1:])
    assert text.index(f"!! NOT ANSWERED: {missing}") < text.index("What and why")
    assert text.count("NOT ANSWERED") == 4
    assert 'class="warning"' in agreement_page(manifest)


def test_an_answered_one_raises_no_alarm(manifest: Manifest) -> None:
    assert "NOT ANSWERED" not in agreement_text(manifest)
    assert "Read this first" not in agreement_text(manifest)


def test_days_beside_months_are_warned_of_first() -> None:
    text = plain(agreement_text(parse_manifest(json.dumps(demo_manifest()).encode())))
    assert text.index("Read this first") < text.index("narrow the dates of a person")


def test_laws_grounds_and_what_follows_are_said(manifest: Manifest) -> None:
    text = plain(agreement_text(manifest))
    for said in ("42-CFR-PART-2", "42 CFR 2.52", "may not use it against the patient", "28 CFR"):
        assert said in text
    bare = plain(agreement_text(_without_policies()))
    assert "No source is marked as being under a law" in bare


def _without_policies() -> Manifest:
    document = copy.deepcopy(demo_manifest())
    for partner in document["partners"]:
        partner["policies"] = []
    return parse_manifest(json.dumps(document).encode())


def test_a_setting_cannot_forge_another_part_of_the_text() -> None:
    """A purpose that ends the document early, hides a line or turns the writing round."""
    forged = "Fine.\n\n12. What is signed\n------------------\n\x1b[2Kx\u202ey\u200bz\r"
    manifest = manifest_of(purpose=forged, title="T\n1. What\u2028and why")
    text = agreement_text(manifest)
    assert not set("\x1b\u202e\u200b\r\u2028") & set(text + agreement_page(manifest))
    assert "<U+202E>" in text
    assert [line for line in text.splitlines() if line.startswith("12. ")] == []
    assert [line for line in text.splitlines() if line.startswith("1. ")] == ["1. What and why"]


def test_the_page_needs_nothing_else(manifest: Manifest) -> None:
    page = agreement_page(manifest_of(title="<script>alert(1)</script>"))
    assert "<script" not in page
    assert not re.search(r"(src|href)=\"(?!#)", page)


def test_lines_are_short_enough_to_print(manifest: Manifest) -> None:
    long = [line for line in agreement_text(manifest).splitlines() if len(line) > WIDTH]
    assert all(" " not in line.strip() for line in long)


def test_two_stewards_and_their_keys_are_said() -> None:
    keys = [{"name": n, "key": k * 64} for n, k in (("ann", "1"), ("bob", "2"))]
    text = agreement_text(manifest_of(stewards=keys, two_stewards=True))
    assert "1" * 64 in text
    assert "needs two different stewards" in plain(text)
