"""Our filters are clkhash's, bit for bit: on its own schemas, and on schemas made up at random.

clkhash runs in the peers' environment; where `make peers` has not been run these tests are
skipped, and `tests/vectors/clk_v1.json` is what is left of them.
"""

from __future__ import annotations

import base64
import json
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings

from linkage.agent.clks import export
from linkage.agent.source import SourceFile
from linkage.agreement.linkage_schema import parse_linkage_schema
from linkage.encoding import Encoder
from linkage.encoding.clk_compat import encode_clks
from linkage.encoding.clk_files import clks_to_json
from linkage.encoding.clk_manifest import clk_secret, encoded_features, read_feature
from linkage.errors import InputError, ManifestError
from tests.clk_cases import BASE64, IGNORED, cases
from tests.clk_projects import manifest_of

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


TEXT = {"type": "string"}
BIGRAMS = {"type": "ngram", "n": 2}
TWENTY = {"bitsPerToken": 20}


def schema_of(*features: dict, bits: int = 256, **config: Any) -> dict:
    kdf = {"type": "HKDF", "salt": BASE64, **config.pop("kdf", {})}
    config = {"l": bits, "kdf": kdf, **config}
    return {"version": 3, "clkConfig": config, "features": list(features)}


NAME = _feature("name", TEXT, BIGRAMS, TWENTY)


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


@settings(
    max_examples=250,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)
@given(case=cases())
def test_schemas_and_rows_made_up_at_random(clkhash: Peer, case: dict[str, Any]) -> None:
    agree(clkhash, case)


PROJECT_SECRET = bytes(range(32))


def through_a_manifest(case: dict[str, Any]) -> tuple[dict[str, Any], str]:
    """What an agent makes of the rows, and the secret that clkhash is to be given for it."""
    try:
        manifest = manifest_of(case["schema"])
    except ManifestError as error:
        return {"error": str(error)}, "00"
    columns = {}
    for name, (place, feature) in encoded_features(manifest).items():
        columns[name] = read_feature(feature, [row[place] for row in case["rows"]])
    secret = bytes(clk_secret(manifest, PROJECT_SECRET, 3)).hex()
    if any(len(column.invalid) for column in columns.values()):
        return {"error": "invalid cells"}, secret
    with Encoder(manifest, PROJECT_SECRET, epoch=3) as encoder:
        values = {name: column.values for name, column in columns.items()}
        words = encoder.encode(values, threads=2).words[0]
    return json.loads(clks_to_json(words, manifest.scheme.bits)), secret


def uninformative(clk: str) -> bool:
    return len(set(base64.b64decode(clk))) == 1 and base64.b64decode(clk)[0] in (0, 255)


def agree_through_a_manifest(clkhash: Peer, case: dict[str, Any]) -> None:
    found, secret = through_a_manifest(case)
    theirs = clkhash(case | {"secret": secret})
    assert ("error" in theirs) == ("error" in found), (theirs, found)
    if "clks" in theirs:
        none = base64.b64encode(bytes(len(base64.b64decode(theirs["clks"][0])))).decode()
        expected = [none if uninformative(clk) else clk for clk in theirs["clks"]]
        assert found["clks"] == expected


@pytest.mark.parametrize("how", ["doubleHash", "blakeHash"])
def test_an_agent_makes_what_clkhash_makes_of_the_schema_it_ships(clkhash: Peer, how: str) -> None:
    schema = shipped("randomnames-schema.json")
    for feature in schema["features"][1:]:
        feature["hashing"]["hash"] = {"type": how}
    case = {"schema": schema, "rows": PEOPLE}
    assert "error" not in through_a_manifest(case)[0]
    agree_through_a_manifest(clkhash, case)


@settings(
    max_examples=150,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)
@given(case=cases(for_manifests=True))
def test_an_agent_makes_what_clkhash_makes(clkhash: Peer, case: dict[str, Any]) -> None:
    agree_through_a_manifest(clkhash, case)


def test_a_csv_file_gives_what_clkhash_gives(clkhash: Peer, tmp_path: Path) -> None:
    """The whole way: clkhash reads the file, and our agent exports its filters."""
    schema = shipped("randomnames-schema.json")
    columns = {"f1": "NAME freetext", "f2": "DOB YYYY/MM/DD", "f3": "GENDER M or F"}
    partner = {"name": "north", "record_id": "INDEX", "columns": columns}
    manifest = manifest_of(
        schema,
        partners=[partner, {"name": "south"}],
        fields=[
            {"name": "f1", "type": "full_name"},
            {"name": "f2", "type": "date_of_birth"},
            {"name": "f3", "type": "sex"},
        ],
    )
    rows = [
        *PEOPLE[:3],
        ["7", '"Doe, ""Jo"" "', "1912/02/29", "F"],
        ["8", " pad ", "1999/12/1", "M"],
    ]
    header = [feature["identifier"] for feature in schema["features"]]
    text = "\n".join(",".join(row) for row in [header, *rows]) + "\n"
    path, out = tmp_path / "people.csv", tmp_path / "clks.json"
    path.write_text(text, "utf-8")
    secret = bytes(clk_secret(manifest, PROJECT_SECRET, 0))
    source = SourceFile(path)
    export(manifest, manifest.partners[0], source, secret, out, "json", lambda *_: None)
    theirs = clkhash({"schema": schema, "csv": text, "secret": secret.decode()})
    assert len(theirs["clks"]) == len(rows)
    assert json.loads(out.read_bytes()) == theirs
