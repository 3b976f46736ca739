"""What a project's agent makes by a linkage schema, for schemas and rows made up at random."""

from __future__ import annotations

from typing import Any

from hypothesis import given, settings

from linkage.encoding import Encoder
from linkage.encoding.clk_compat import encode_clks
from linkage.encoding.clk_manifest import (
    clk_secret,
    encoded_features,
    informative,
    read_feature,
)
from linkage.errors import ManifestError, SourceError
from tests.clk_cases import cases
from tests.clk_projects import manifest_of

SECRET = bytes(range(32))


@settings(max_examples=150, deadline=None)
@given(case=cases(for_manifests=True))
def test_an_agent_refuses_and_encodes_what_the_library_does(case: dict[str, Any]) -> None:
    try:
        manifest = manifest_of(case["schema"])
    except ManifestError:
        return
    assert manifest.linkage_schema is not None
    read = {
        name: read_feature(feature, [row[place] for row in case["rows"]])
        for name, (place, feature) in encoded_features(manifest).items()
    }
    invalid = sorted({int(row) + 1 for column in read.values() for row in column.invalid})
    secret = bytes(clk_secret(manifest, SECRET, 1))
    try:
        words = encode_clks(manifest.linkage_schema, case["rows"], secret)
    except SourceError as error:
        assert sorted({problem.row for problem in error.problems}) == invalid
        return
    assert invalid == []
    with Encoder(manifest, SECRET, epoch=1) as encoder:
        found = encoder.encode({name: column.values for name, column in read.items()})
    kept = informative(words)
    assert (found.presence[0] == kept).all()
    assert (found.words[0][kept] == words[kept]).all()
    assert not found.words[0][~kept].any()
    # A record without a value in any feature has no filter; folding may take away others.
    empty = [
        all(column.values[row] is None for column in read.values()) for row in range(len(kept))
    ]
    assert not kept[empty].any()
