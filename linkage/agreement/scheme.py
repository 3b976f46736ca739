"""How records are encoded and matched: the manifest's scheme and matching settings."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from linkage.agreement.clk import Clk
from linkage.agreement.fields import Name, Strict


class Saul(Strict):
    """Keyed SimHash with XOR amplification.

    Attributes:
        bits: length of one encoding.
        hashes: majorities XORed into one bit (h); more hides more and matches less.
    """

    name: Literal["saul-v1"]
    bits: Literal[1024, 2048, 4096] = 2048
    hashes: Annotated[int, Field(ge=2, le=6)] = 3


class Minhash(Strict):
    """Keyed MinHash of conjunctions; the default scheme.

    Attributes:
        bits: length of one encoding.
        hashes: how many tokens chosen from each name must all agree for one bit (k), and from an
            address (3k); more hides more and matches less. Any other field must be equal.
    """

    name: Literal["minhash-v1"]
    bits: Literal[1024, 2048, 4096] = 2048
    hashes: Annotated[int, Field(ge=1, le=6)] = 3


Scheme = Annotated[Saul | Minhash | Clk, Field(discriminator="name")]


MOST_PAIRS = 8
"""Of a record in one epoch: an answer about two strangers tells 3 bits, half of them of either, and
naming one of 50,000 people takes 15.6 (ADR 35, ADR 38)."""


class Matching(Strict):
    """How the hub matches.

    Attributes:
        quota: most promising rows of each other partner kept per row (q).
        threshold: links below this match probability are never released; None leaves the
            choice to the steward, starting from the hub's recommendation.
        precision: aim for an estimated precision of at least this; None for the best F1.
        pair_keyed: compare candidates field by field under pair keys, for which every agent
            answers a second round; if not, the match keys' distances are all there is.
        answer_hours: how long the hub waits for those answers before it does without them.
        answer_runs: how many runs an agent answers in one epoch; more let a curious hub learn
            more about every row, run by run. A run on the same uploads asks nothing again.
        look_loss: largest chance that the search of large files, which takes a first look at
            part of two encodings, drops a pair just within its cut, per match key; 0 compares
            all of every pair, which takes several times as long.
        dependent: groups of fields that depend on each other, such as city and postcode; a
            group counts as one piece of evidence.
        swaps: two name fields that may stand in each other's place.
    """

    quota: Annotated[int, Field(ge=1, le=32)] = 4
    threshold: Annotated[float, Field(ge=0.01, le=1.0)] | None = None
    precision: Annotated[float, Field(ge=0.5, lt=1.0)] | None = None
    pair_keyed: bool = True
    answer_hours: Annotated[int, Field(ge=1, le=2160)] = 72
    answer_runs: Annotated[int, Field(ge=1, le=1000)] = 1
    look_loss: Annotated[float, Field(ge=0.0, le=0.5)] = 0.15
    dependent: Annotated[
        tuple[Annotated[tuple[Name, ...], Field(min_length=2, max_length=8, strict=False)], ...],
        Field(max_length=8, strict=False),
    ] = ()
    swaps: Annotated[
        tuple[Annotated[tuple[Name, Name], Field(strict=False)], ...],
        Field(max_length=4, strict=False),
    ] = ()

    def pairs_of_a_record(self, partners: int, duplicates: int) -> float:
        """In how many pairs a record stands in one epoch, on average.

        Args:
            duplicates: how many of the partners' files may hold a person twice; each of these is
                compared with itself, too.
        """
        return self.quota * self.answer_runs * (partners - 1 + duplicates / partners)

    def warnings(self, partners: int, duplicates: int) -> tuple[str, ...]:
        """What a reader may not expect; the arguments are those of `pairs_of_a_record`."""
        pairs = self.pairs_of_a_record(partners, duplicates)
        if not self.pair_keyed or pairs <= MOST_PAIRS:
            return ()
        text = (
            f"matching: in one epoch a hub may learn how alike {pairs:.3g} pairs of each record"
            f" are, on average (quota {self.quota}, answer_runs {self.answer_runs},"
            f" {partners} partners); beyond {MOST_PAIRS}, one that chooses the pairs may tell who"
            " groups of people are"
        )
        return (text,)
