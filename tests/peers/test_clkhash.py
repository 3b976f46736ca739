"""Our filters are clkhash's, bit for bit: on its own schemas, and on schemas made up at random.

clkhash runs in the peers' environment; where `make peers` has not been run these tests are
skipped, and `tests/vectors/clk_v1.json` is what is left of them.
"""

from __future__ import annotations

import base64
import json
import string
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from linkage.agreement.linkage_schema import parse_linkage_schema
from linkage.encoding.clk_compat import encode_clks
from linkage.encoding.clk_files import clks_to_json
from linkage.errors import InputError, ManifestError

HERE = Path(__file__).parent
PEERS = HERE.parents[1] / ".venv-peers"
Peer = Callable[[dict[str, Any]], dict[str, Any]]

pytestmark = pytest.mark.skipif(
    not (PEERS / "bin/python").exists(), reason="clkhash is not there: run `make peers`"
)


@pytest.fixture(scope="module")
def clkhash() -> Iterator[Peer]:
    """Asks clkhash itself, in a process that lives as long as this file's tests."""
    command = [PEERS / "bin/python", HERE / "clkhash_peer.py"]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:

        def ask(case: dict[str, Any]) -> dict[str, Any]:
            assert process.stdin is not None
            assert process.stdout is not None
            process.stdin.write(json.dumps(case) + "\n")
            process.stdin.flush()
            return json.loads(process.stdout.readline())

        yield ask
        process.terminate()


def ours(case: dict[str, Any]) -> dict[str, Any]:
    try:
        schema = parse_linkage_schema(case["schema"])
        words = encode_clks(schema, case["rows"], bytes.fromhex(case["secret"]))
    except (InputError, ManifestError) as error:
        return {"error": str(error)}
    return json.loads(clks_to_json(words, schema.bits))


def agree(clkhash: Peer, case: dict[str, Any]) -> None:
    theirs, found = clkhash(case), ours(case)
    if "error" in theirs or "error" in found:
        assert "error" in theirs, found
        assert "error" in found, theirs
    else:
        assert found == theirs


def shipped(name: str) -> dict[str, Any]:
    """A schema that comes with clkhash."""
    (path,) = PEERS.glob(f"lib/python*/site-packages/clkhash/data/{name}")
    return json.loads(path.read_text("utf-8"))


PEOPLE = [
    ["0", "Mary Ann O'Brien", "1976/07/04", "F"],
    ["1", "José García", "2001/12/31", "M"],
    ["2", "Li  Wu", "1999/1/5", "F"],
    ["3", "   ", "0999/02/28", "M"],
    ["4", "𝒢é́ß", "1912/02/29", "F"],
]


@pytest.mark.parametrize("how", ["doubleHash", "blakeHash"])
def test_the_schema_that_clkhash_ships(clkhash: Peer, how: str) -> None:
    schema = shipped("randomnames-schema.json")
    for feature in schema["features"][1:]:
        feature["hashing"]["hash"] = {"type": how}
    case = {"schema": schema, "rows": PEOPLE, "secret": b"secret".hex()}
    assert "clks" in clkhash(case)
    agree(clkhash, case)
    for wrong in (["5", "Al", "1976/07/04", "F"], ["5", "Alan", "1976/02/30", "F"]):
        agree(clkhash, case | {"rows": [*PEOPLE, wrong]})
        assert "error" in clkhash(case | {"rows": [wrong]}) or wrong[1] == "Al"


def test_many_made_up_people(clkhash: Peer) -> None:
    """More rows than a block, with values that come back after the tables were dropped."""
    rows = [
        [str(i), f"{'abcdefghij'[i % 10]}an{i % 977} s{i * 7919 % 20011}", f"19{i % 90:02}/03/1", s]
        for i in range(17_000)
        for s in "MF"[i % 2]
    ]
    case = {"schema": shipped("randomnames-schema.json"), "rows": rows, "secret": "00"}
    agree(clkhash, case)


def _feature(name: str, form: dict, comparison: dict, strategy: dict, **more: Any) -> dict:
    hashing = {"comparison": comparison, "strategy": strategy, **more}
    return {"identifier": name, "format": form, "hashing": hashing}


BASE64 = base64.b64encode(bytes(range(70))).decode()
TEXT = {"type": "string"}
BIGRAMS = {"type": "ngram", "n": 2}
TWENTY = {"bitsPerToken": 20}


def schema_of(*features: dict, bits: int = 256, **config: Any) -> dict:
    kdf = {"type": "HKDF", "salt": BASE64, **config.pop("kdf", {})}
    config = {"l": bits, "kdf": kdf, **config}
    return {"version": 3, "clkConfig": config, "features": list(features)}


NAME = _feature("name", TEXT, BIGRAMS, TWENTY)
IGNORED = {"identifier": "id", "ignored": True}


@pytest.mark.parametrize(
    "schema",
    [
        schema_of(NAME, {**NAME, "ignored": True}),
        schema_of({**NAME, "ignored": True}, NAME),
        schema_of(IGNORED, NAME, kdf={"hash": "SHA512", "info": "c2NoZW1h", "keySize": 20}),
        schema_of(IGNORED, NAME, kdf={"salt": "", "info": ""}),
        schema_of(IGNORED, NAME, kdf={"salt": "c2 No\nZW1h"}),
        schema_of(IGNORED, NAME, xor_folds=2),
        schema_of(IGNORED, NAME, xorFolds=2),
        schema_of(IGNORED, NAME, xorFolds=2, xor_folds=1),
        schema_of(IGNORED, NAME, bits=8),
        schema_of(IGNORED, NAME, bits=1),
        schema_of(IGNORED, NAME, bits=65_536 * 2),
        schema_of(IGNORED, _feature("n", TEXT, BIGRAMS, {"bitsPerFeature": 1000})),
        schema_of(IGNORED, _feature("n", TEXT, BIGRAMS, {"bitsPerToken": 100.0})),
        schema_of(IGNORED, IGNORED),
    ],
    ids=str,
)
def test_settings_one_by_one(clkhash: Peer, schema: dict) -> None:
    rows = [["ng", "1"], ["", "ab"], ["mary ann", "obrien"]]
    case = {"schema": schema, "rows": rows, "secret": "ab" * 16}
    assert "clks" in clkhash(case)
    agree(clkhash, case)


DOUBLE = {"hash": {"type": "doubleHash"}}
REFUSED = {
    "no power of two": schema_of(NAME, bits=1000),
    "no power of two unfolded": schema_of(NAME, bits=100, xor_folds=1),
    "singular": schema_of(
        _feature(
            "n", TEXT, BIGRAMS, TWENTY, hash={"type": "blakeHash", "prevent_singularity": False}
        )
    ),
    "long key": schema_of(NAME, kdf={"keySize": 65}),
    "too many keys": schema_of(NAME, kdf={"keySize": 5000}),
    "no base64": schema_of(NAME, kdf={"salt": "a"}),
    "kdf": schema_of(NAME, kdf={"type": "PBKDF2"}),
    "version": {**schema_of(NAME), "version": 4},
    "both strategies": schema_of(_feature("n", TEXT, BIGRAMS, {**TWENTY, "bitsPerFeature": 1})),
    "old strategy": schema_of(_feature("n", TEXT, BIGRAMS, {"k": 20})),
    "no token": schema_of(_feature("n", TEXT, BIGRAMS, {"bitsPerToken": 0})),
    "zero-grams": schema_of(_feature("n", TEXT, {"type": "ngram", "n": 0}, TWENTY)),
    "unknown hashing": schema_of(_feature("n", TEXT, BIGRAMS, TWENTY, weight=2)),
    "unknown format setting": schema_of(_feature("n", {**TEXT, "max": 2}, BIGRAMS, TWENTY)),
    "case beside pattern": schema_of(
        _feature("n", {**TEXT, "pattern": ".*", "case": "mixed"}, BIGRAMS, TWENTY)
    ),
    "bad pattern": schema_of(_feature("n", {**TEXT, "pattern": "("}, BIGRAMS, TWENTY)),
    "codec": schema_of(_feature("n", {**TEXT, "encoding": "latin-1"}, BIGRAMS, TWENTY)),
    "no format": schema_of({"identifier": "n", "hashing": NAME["hashing"]}),
    "not ignored": schema_of({"identifier": "n", "ignored": False}),
    "ignored with more": schema_of({"identifier": "n", "ignored": True, "weight": 1}),
    "too coarse": schema_of(
        _feature("n", TEXT, {"type": "numeric", "thresholdDistance": 0.1, "resolution": 2}, TWENTY)
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_refused_as_clkhash_refuses(clkhash: Peer, name: str) -> None:
    case = {"schema": REFUSED[name], "rows": [["12"]], "secret": "00"}
    assert "error" in clkhash(case)
    assert "error" in ours(case)


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
def cases(draw: st.DrawFn) -> dict[str, Any]:
    drawn = [draw(features(number)) for number in range(draw(st.integers(1, 4)))]
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


@settings(
    max_examples=250,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)
@given(case=cases())
def test_schemas_and_rows_made_up_at_random(clkhash: Peer, case: dict[str, Any]) -> None:
    agree(clkhash, case)
