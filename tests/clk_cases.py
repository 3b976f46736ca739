"""Linkage schemas and rows made up at random, for tests beside clkhash and without it."""

from __future__ import annotations

import base64
import string
from typing import Any

from hypothesis import strategies as st

BASE64 = base64.b64encode(bytes(range(70))).decode()
IGNORED = {"identifier": "id", "ignored": True}

WORDS = st.text("abC é ßΩ𝒢 \u0301'-12.", max_size=12)
NUMBERS = st.one_of(
    st.integers(-30, 3000).map(str),
    st.integers(-(10**20), 10**20).map(str),
    st.sampled_from([" 7", "+12", "1_000", "٣", "00"]),
)


@st.composite
def formats(draw: st.DrawFn) -> tuple[dict, st.SearchStrategy[str]]:
    """A format, and what its cells are drawn from: mostly valid ones."""
    kind = draw(st.sampled_from(["string", "string", "pattern", "integer", "date", "enum"]))
    form: dict[str, Any] = {"type": kind}
    cells = WORDS
    match kind:
        case "string":
            more = draw(st.sampled_from(TEXT_FORMATS))
            form |= more
            if more.get("encoding") == "ascii":
                cells = WORDS.filter(str.isascii)
        case "pattern":
            form = {"type": "string", "pattern": "[a-z]{1,3}|x*"}
            cells = st.text(string.ascii_lowercase, max_size=3)
        case "integer":
            form |= draw(st.sampled_from([{}, {}, {"minimum": -100, "maximum": 10**22}]))
            cells = NUMBERS
        case "date":
            form["format"] = draw(st.sampled_from(["%Y-%m-%d", "%d/%m/%Y", "%Y%m%d", "%d %b %y"]))
            written = form["format"]
            cells = st.dates().map(lambda date: date.strftime(written))
            if "%b" not in written:
                cells |= st.sampled_from(["1999-1-2", "1/2/1999", "1999112", "01/12/0999"])
        case "enum":
            form["values"] = ["m", "f", "", "other"]
            cells = st.sampled_from(form["values"])
    return form, cells


TEXT_FORMATS: list[dict[str, Any]] = [
    {},
    {},
    {"encoding": "utf-8"},
    {"encoding": "utf-16"},
    {"encoding": "utf-32"},
    {"encoding": "ascii"},
    {"minLength": 1, "maxLength": 11},
    {"case": "lower"},
    {"case": "upper"},
    {"case": "mixed"},
]


@st.composite
def features(draw: st.DrawFn, number: int) -> tuple[dict, st.SearchStrategy[str]]:
    """A feature, and what its cells are drawn from."""
    form, cells = draw(formats())
    numeric = draw(st.integers(0, 3)) == 0
    if numeric:
        floats = st.floats(-1e6, 1e6).map(str)
        cells = (NUMBERS | floats) if form == {"type": "string"} else cells
        comparison = {
            "type": "numeric",
            "thresholdDistance": draw(st.sampled_from([1, 5, 20, 7.5, 0.25, 1e3])),
            "resolution": draw(st.integers(1, 6)),
            "fractional_precision": draw(st.integers(0, 4)),
        }
    else:
        comparison = draw(
            st.one_of(
                st.just({"type": "exact"}),
                st.builds(
                    lambda n, p: {"type": "ngram", "n": n} | p,
                    st.integers(1, 6),
                    st.sampled_from([{}, {"positional": True}, {"positional": False}]),
                ),
            )
        )
    hashing: dict[str, Any] = {
        "comparison": comparison,
        "strategy": {
            draw(st.sampled_from(["bitsPerToken", "bitsPerFeature"])): draw(st.integers(1, 90))
        },
    }
    how = draw(
        st.sampled_from(
            [
                {"type": "blakeHash"},
                {"type": "doubleHash"},
                {"type": "doubleHash", "prevent_singularity": True},
                None,
            ]
        )
    )
    if how is not None:
        hashing["hash"] = how
    if draw(st.booleans()):
        hashing["missingValue"] = {"sentinel": draw(st.sampled_from(["", "NA", "12"]))}
        cells |= st.just(hashing["missingValue"]["sentinel"])
        if draw(st.booleans()):
            hashing["missingValue"]["replaceWith"] = draw(st.sampled_from(["", "é", "0", "zz"]))
    if draw(st.integers(0, 19)) == 0:
        cells |= st.sampled_from(["\ud800", "x" * 70, "1e400", "nan"])
    feature = {"identifier": f"f{number}", "format": form, "hashing": hashing}
    if draw(st.integers(0, 9)) == 0:
        feature["ignored"] = True
    return feature, cells


@st.composite
def cases(draw: st.DrawFn, *, for_manifests: bool = False) -> dict[str, Any]:
    """A schema, rows and a secret.

    Args:
        for_manifests: only schemas that a manifest may hold, and whose folds clkhash can take
            either way.
    """
    drawn = [draw(features(number)) for number in range(draw(st.integers(1, 4)))]
    if for_manifests:
        for feature, _ in drawn:
            feature["format"].pop("maximum", None)
        drawn[0][0].pop("ignored", None)
    described = [feature for feature, _ in drawn]
    columns = [cells for _, cells in drawn]
    if draw(st.booleans()):
        described.insert(0, IGNORED)
        columns.insert(0, st.just("any"))
    double = all(
        f["hashing"].get("hash", {}).get("type") == "doubleHash"
        for f in described
        if not f.get("ignored")
    )
    if for_manifests:
        bits = 64 * draw(st.integers(1, 6) if double else st.sampled_from([1, 2, 4, 16]))
    else:
        bits = draw(st.integers(2, 300)) if double else 1 << draw(st.integers(1, 11))
    kdf: dict[str, Any] = {"type": "HKDF"}
    for name, values in (
        ("hash", ["SHA256", "SHA512"]),
        ("salt", [BASE64, ""]),
        ("info", ["c2NoZW1h"]),
        ("keySize", [1, 16, 64] if not double else [1, 64, 65, 200]),
    ):
        if draw(st.booleans()):
            kdf[name] = draw(st.sampled_from(values))
    config: dict[str, Any] = {"l": bits, "kdf": kdf}
    for name in ("xor_folds", "xorFolds"):
        if draw(st.integers(0, 3)) == 0:
            config[name] = draw(st.integers(0, 3))
    return {
        "schema": {"version": 3, "clkConfig": config, "features": described},
        "rows": draw(st.lists(st.tuples(*columns), min_size=1, max_size=6)),
        "secret": draw(st.binary(max_size=40)).hex(),
    }
