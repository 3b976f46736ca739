"""Parts of the quality report beyond the figures at a threshold: how pairs were compared, for whom
the linkage is good, and what changed since the last run.

Reads these parts, each only where it is there:

    quality["pairs"][pair]["comparison"]         "pair_keyed" or "match_keys"
    quality["pairs"][pair]["comparison_reason"]  why by match keys alone
    quality["pairs"][pair]["candidate_recall"]   share of matches that are candidates, at most
    quality["strata"][stratum][code]             see `linkage.matching.strata`
    quality["since"]                             {"run", "before": {...}, "now": {...}}
    quality["reviews"]                           {"labelled", "match", "different", "agree"}
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from linkage.reports import charts
from linkage.reports.html import NOT_KNOWN, Block, DataTable, Paragraph, Section, count, percent

_SINCE = (
    ("rows", "Rows"),
    ("links", "Links at the recommended threshold"),
    ("estimated_matches", "Expected matches"),
    ("precision", "Precision, estimated"),
    ("recall", "Recall, estimated"),
)
_SHARES = frozenset({"precision", "recall"})


def breakdown(quality: Mapping[str, Any]) -> list[Section]:
    """The sections that the report has something for."""
    sections = [
        Section("How pairs were compared", list(_comparison(quality))),
        Section("For whom", list(_strata(quality))),
        Section("Clerical review", list(_reviews(quality))),
        Section("Since the last run", list(_since(quality))),
    ]
    return [section for section in sections if section.blocks]


def _comparison(quality: Mapping[str, Any]) -> Iterator[Block]:
    pairs = {key: one for key, one in (quality.get("pairs") or {}).items() if "comparison" in one}
    if not pairs:
        return
    words = {"pair_keyed": "field by field, under pair keys", "match_keys": "by match keys alone"}
    yield DataTable(
        "What the model saw of each candidate pair",
        ("Pair", "Compared", "Matches among the candidates"),
        [
            (
                key.replace("|", " – "),
                words.get(one["comparison"], one["comparison"]),
                f"at most {percent(one['candidate_recall'])}"
                if one.get("candidate_recall") is not None
                else NOT_KNOWN,
            )
            for key, one in pairs.items()
        ],
        note="The last column is estimated from how many match keys caught each match (Chao). Keys"
        " depend on each other, so the true share may be smaller.",
    )
    for key, one in pairs.items():
        if one["comparison"] == "match_keys" and one.get("comparison_reason"):
            yield Paragraph(
                f"{key.replace('|', ' – ')}: compared by match keys alone, because"
                f" {one['comparison_reason']}. These links are less certain than they could be.",
                warning=True,
            )


def _strata(quality: Mapping[str, Any]) -> Iterator[Block]:
    for stratum, cells in (quality.get("strata") or {}).items():
        partners = list(
            dict.fromkeys(name for cell in cells.values() if cell for name in cell["rows"])
        )
        rows = []
        bars = []
        for code, cell in cells.items():
            if cell is None:
                rows.append([code, *("suppressed" for _ in range(len(partners) + 3))])
                continue
            shares = [cell["precision"], cell["recall"]]
            rows.append(
                [
                    code,
                    *(count(cell["rows"].get(name)) for name in partners),
                    count(cell["links"]),
                    *(percent(share) for share in shares),
                ]
            )
            bars += [
                {"category": code, "series": name, "value": share}
                for name, share in zip(("precision", "recall"), shares, strict=True)
                if share is not None
            ]
        yield DataTable(
            f"By {stratum}",
            (stratum, *(f"Rows, {name}" for name in partners), "Links", "Precision", "Recall"),
            rows,
            note="Estimates at the recommended threshold. Cells of fewer than 11 rows or links are"
            " suppressed, and one more where they could be worked out.",
        )
        if bars:
            yield charts.grouped_bars(
                bars,
                title=f"Precision and recall by {stratum}",
                description="Groups that differ here are linked more or less well; results that"
                " compare them inherit that.",
                x_title=stratum,
                y_title="Share",
                share=True,
            )


def _reviews(quality: Mapping[str, Any]) -> Iterator[Block]:
    reviews = quality.get("reviews")
    if not reviews or not reviews["labelled"]:
        return
    yield Paragraph(
        f"{count(reviews['labelled'])} candidate pairs were decided by a reviewer"
        f" ({count(reviews['match'])} match, {count(reviews['different'])} different). The model,"
        f" before it was told, agreed with {count(reviews['agree'])} of them."
    )


def _since(quality: Mapping[str, Any]) -> Iterator[Block]:
    since = quality.get("since")
    if not since:
        return
    before, now = since["before"], since["now"]
    rows = []
    for name, text in _SINCE:
        if name in before and name in now:
            shown = percent if name in _SHARES else lambda value: count(round(value))
            rows.append((text, shown(before[name]), shown(now[name])))
    yield DataTable(
        "The last run of this project, and this one",
        ("", "Last run", "This run"),
        rows,
        note=f"The last run was {since['run']}.",
    )
