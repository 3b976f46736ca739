"""Schemes with their parameters, and manifests that use them, for `tests.bench.frontier`.

Setting("saul-v1", hashes=3).applied(drafted)
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from linkage.agreement import Manifest, MatchKey
from linkage.agreement.draft_keys import RULES, Rule
from linkage.agreement.manifest import Clk, Minhash, Saul, Scheme

LETTERS = {"saul-v1": "h", "minhash-v1": "k"}
CLK_BITS = 1024
MADE = "made-up"
"""Files of made-up people."""
POSITIONAL = frozenset({"date_of_birth", "phone", "postcode", "national_id", "number"})


def clk_schema(types: Mapping[str, str], folds: int = 0) -> dict[str, Any]:
    """A linkage schema as clkhash documents one: bigrams, 1,024 bits, 200 of them a field.

    Args:
        types: by field, the name of its type.
        folds: how often the filter, so many times as long at first, is XORed with its other half.
    """
    features = [
        {
            "identifier": name,
            "format": {"type": "string", "encoding": "utf-8"},
            "hashing": {
                "comparison": {"type": "ngram", "n": 2, "positional": kind in POSITIONAL},
                "strategy": {"bitsPerFeature": 200},
                "hash": {"type": "blakeHash"},
                "missingValue": {"sentinel": ""},
            },
        }
        for name, kind in types.items()
    ]
    config: dict[str, Any] = {
        "l": CLK_BITS,
        "kdf": {"type": "HKDF", "hash": "SHA256", "salt": "", "info": "", "keySize": 64},
    }
    return {
        "version": 3,
        "clkConfig": config | ({"xor_folds": folds} if folds else {}),
        "features": features,
    }


@dataclass(frozen=True)
class Setting:
    """A scheme, its parameters, and what is encoded.

    Attributes:
        hashes: h of `saul-v1`, k of `minhash-v1`; `clk-v1` has its own.
        whole: all fields of a record are one match key; else the match keys are those drafted. Of
            `clk-v1` it is a linkage schema's one filter, which alone may be folded.
        keys, crowd, spare: of the rule for match keys, where they are not the scheme's own: so many
            at most, the most crowd of all together, and bits of each beyond log2 of the records.
    """

    scheme: str
    hashes: int = 0
    bits: int = 2048
    whole: bool = False
    folds: int = 0
    keys: int | None = None
    crowd: float | None = None
    spare: float | None = None

    @property
    def title(self) -> str:
        """Scheme and parameters, without what is encoded."""
        if self.scheme == "clk-v1":
            return "clk-v1, folded" if self.folds else "clk-v1"
        bits = "" if self.bits == 2048 else f", {self.bits:,} bits"
        changed = {"{} keys": self.keys, "crowd {}": self.crowd, "{} spare bits": self.spare}
        rule = "".join(f", {words.format(v)}" for words, v in changed.items() if v is not None)
        return f"{self.scheme}, {LETTERS[self.scheme]} = {self.hashes}{bits}{rule}"

    @property
    def name(self) -> str:
        return f"{self.title}, {'whole record' if self.whole else 'match keys'}"

    @property
    def drafted_for(self) -> str:
        """By whose rule match keys are drafted; plain filters have none of their own."""
        return self.scheme if self.scheme in RULES else "saul-v1"

    @property
    def rule(self) -> Rule:
        changes = {"most_keys": self.keys, "most_crowd": self.crowd, "spare_bits": self.spare}
        given: dict[str, Any] = {name: v for name, v in changes.items() if v is not None}
        return replace(RULES[self.drafted_for], **given)

    @property
    def has_law(self) -> bool:
        return self.scheme != "clk-v1"

    def applied(self, drafted: Manifest) -> Manifest:
        """A manifest drafted for `drafted_for` by `rule`, with this scheme.

        A whole record may have more fields than a match key may, so it is not validated.
        """
        changes: dict[str, Any] = {"scheme": self._scheme(drafted)}
        if self.whole:
            names = tuple(field.name for field in drafted.fields)
            changes["match_keys"] = (MatchKey(name="record", fields=names),)
        return drafted.model_copy(update=changes)

    def _scheme(self, drafted: Manifest) -> Scheme:
        if self.scheme == "saul-v1":
            return Saul.model_validate(
                {"name": "saul-v1", "bits": self.bits, "hashes": self.hashes}
            )
        if self.scheme == "minhash-v1":
            return Minhash.model_validate(
                {"name": "minhash-v1", "bits": self.bits, "hashes": self.hashes}
            )
        types = {field.name: field.type.value for field in drafted.fields}
        schema = clk_schema(types, self.folds) if self.whole else None
        return Clk(name="clk-v1", linkage_schema=schema, risk_acknowledged=True)


CLK = Setting("clk-v1", bits=CLK_BITS, whole=True)
FOLDED = Setting("clk-v1", bits=CLK_BITS, whole=True, folds=1)
CLK_KEYS = Setting("clk-v1", bits=CLK_BITS)
DEFAULT = Setting("minhash-v1", 3)
SAUL = Setting("saul-v1", 3)

LARGE = (DEFAULT, SAUL, CLK)
"""For files so large that one attack takes minutes."""
CORE = (
    *LARGE,
    FOLDED,
    CLK_KEYS,
    *(Setting("saul-v1", hashes) for hashes in (2, 4, 5, 6)),
    *(Setting("minhash-v1", hashes) for hashes in (2, 4, 5)),
    Setting("saul-v1", 3, whole=True),
    Setting("minhash-v1", 3, whole=True),
)
EVERY = (
    *CORE,
    *(Setting("saul-v1", hashes, whole=True) for hashes in (2, 4, 5, 6)),
    *(Setting("minhash-v1", hashes, whole=True) for hashes in (2, 4, 5)),
    *(
        Setting(scheme, 3, bits, whole=whole)
        for whole in (False, True)
        for scheme in ("saul-v1", "minhash-v1")
        for bits in (1024, 4096)
    ),
)
RULED = (
    *(Setting("minhash-v1", 3, keys=keys) for keys in (2, 4, 6)),
    *(Setting("minhash-v1", 3, crowd=crowd) for crowd in (0.04, 0.08, 0.32, 0.64)),
    *(Setting("minhash-v1", 3, spare=spare) for spare in (1.0, 5.0, 7.0)),
)
"""The default with other rules for match keys."""
