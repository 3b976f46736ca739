"""The manifest that the page for anonlink's users shows is one, and says what the page says."""

from __future__ import annotations

import re
from pathlib import Path

from linkage.agreement import parse_manifest
from linkage.encoding.clk_manifest import encoded_features

PAGE = Path(__file__).parents[3] / "docs/how-to/from-anonlink.md"


def test_the_manifest_shown_is_valid() -> None:
    (shown,) = re.findall(r"```json\n(.*?)```", PAGE.read_text("utf-8"), re.DOTALL)
    manifest = parse_manifest(shown.encode(), source="from-anonlink.md")
    assert manifest.linkage_schema is not None
    assert manifest.scheme.bits == 1024
    assert manifest.warnings == ()
    assert not manifest.matching.pair_keyed
    assert encoded_features(manifest).keys() == {"name", "dob", "sex"}
