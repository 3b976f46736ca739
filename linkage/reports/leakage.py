"""What encodings give away as they lie, as a section of the risk audit's page."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from linkage.reports.html import Block, DataTable, Paragraph, percent

_RESULT = {"passed": "within", "broken": "ABOVE"}
_REPEATS = (
    "Equal values have equal encodings, whatever the scheme. Distinct: encodings per record; of a"
    " match key that tells people apart nearly 100%. Commonest: the share of the records that bear"
    " the most frequent encoding; who knows which value is commonest knows that it is theirs. At"
    " least: what is proven of that at 95% for all values together, against {allowed} that the"
    " agreement allows. Named by counting: the share of the records whose encoding repeats as often"
    " as no other does; who knows exactly how often each value occurs reads their values off."
)
_BITS = (
    "Equal values were taken once. Skews and bits together: 1 is what fair coins give. Popcount"
    " skew: how much the number of bits set varies; above 1 long values can be told from short"
    " ones. Bit skew: how far single bits are from being set half of the time; above 1 a bit tells"
    " of a common part of values. Bits together: how far two bits go together; above 1 they tell of"
    " the same part. Near another: how many have a neighbour that differs in a quarter of the bits"
    " or less; such pairs tell who is like whom."
)
_SIGNATURE = {
    "presence": "match keys that are there",
    "shared": "encodings that are another's too",
    "alone": "records that share none",
}
_MEANS = {
    "presence": "The share of the records of which no other has the same match keys: which fields a"
    " record lacks tells them apart, whatever the encodings say.",
    "shared": "In how many match keys, on average, a record's encoding is also another record's:"
    " equal encodings lead from one record to the next, as of a household or of namesakes.",
    "alone": "The share of the records of which no encoding is another's: such a record can be"
    " followed by any one of its encodings.",
}


def leakage(audit: Mapping[str, Any]) -> Iterator[Block]:
    """How often encodings repeat, how their bits lie, and how they join."""
    if not audit["repeated"]:
        yield Paragraph("Too few records have any match key to say anything of.")
        return
    yield Paragraph("For this nothing has to be attacked: whoever has the encodings can count it.")
    yield DataTable(
        "How often encodings repeat",
        (
            "match key",
            "records",
            "distinct",
            "commonest",
            "at least",
            "named by counting",
            "policy",
        ),
        [
            (
                one["name"],
                one["rows"],
                percent(one["distinct"]),
                percent(one["commonest"], 2),
                percent(one["lower"], 2),
                percent(one["frequency_bound"], 2),
                "" if one["lower"] is None else _RESULT[one["verdict"]],
            )
            for one in audit["repeated"]
        ],
        note=_REPEATS.format(allowed=percent(audit["policy"]["commonest"], 2)),
    )
    yield DataTable(
        "How the bits of distinct encodings lie",
        (
            "match key",
            "encodings",
            "bits set",
            "popcount skew",
            "bit skew",
            "bits together",
            "near another",
        ),
        [
            (
                finding["name"],
                finding["leakage"]["rows"],
                percent(finding["leakage"]["fill"]),
                f"{finding['leakage']['fill_deviation']:.2f}",
                f"{finding['leakage']['bit_skew']:.2f}",
                f"{finding['leakage']['co_occurrence']:.2f}",
                percent(finding["leakage"]["near"]),
            )
            for finding in audit["findings"]
        ],
        note=_BITS,
    )
    if audit["signature"]:
        yield DataTable(
            "How a record's encodings of all match keys join into a signature",
            ("measure", "value", "what it means"),
            [
                (name, _measured(measure, audit["signature"][measure]), _MEANS[measure])
                for measure, name in _SIGNATURE.items()
            ],
        )


def _measured(measure: str, value: float) -> str:
    return f"{value:.2g}" if measure == "shared" else percent(value)
