"""`linkage hub review`, `explain`, `decide`, `decisions`: clerical review by the steward."""

from __future__ import annotations

import secrets
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from linkage.cli.common import (
    HomeOption,
    JsonOption,
    PatienceOption,
    connect_steward,
    errors,
    output,
    show,
)
from linkage.errors import InputError

if TYPE_CHECKING:
    from linkage.hub.reviewer import Reviewer
    from linkage.v1 import review_pb2

PATIENCE = 30.0
BAR = 24

RunArgument = Annotated[str, typer.Argument(metavar="RUN", help="The run's id.")]
PairArgument = Annotated[
    str, typer.Argument(metavar="PAIR", help="LEFT.RIGHT.NUMBER, as review lists it.")
]
NoteOption = Annotated[
    str, typer.Option("--note", help="Why, for those who come later. No identifiers.")
]
KEYS = {"m": "match", "d": "different", "u": "unsure"}


def add_review_commands(app: typer.Typer, home: Path) -> None:
    """The commands, beside the hub's others.

    Args:
        home: the hub's default home.
    """

    @app.command()
    def review(
        run: RunArgument,
        low: Annotated[
            float, typer.Option("--from", min=0, max=1, help="Least match probability.")
        ] = 0.1,
        high: Annotated[
            float, typer.Option("--to", min=0, max=1, help="Largest match probability.")
        ] = 0.9,
        limit: Annotated[
            int, typer.Option("--limit", min=1, max=500, help="So many pairs at most.")
        ] = 20,
        every: Annotated[
            bool, typer.Option("--all", help="Also pairs that were decided before.")
        ] = False,
        ask: Annotated[
            bool, typer.Option("--ask", help="Show them one by one, and ask for a verdict.")
        ] = False,
        home: HomeOption = home,
        patience: PatienceOption = PATIENCE,
        as_json: JsonOption = False,
    ) -> None:
        """List a run's uncertain pairs by their comparison vectors, the most uncertain first.

        Nothing of the records is shown but how alike their fields are. With --ask each pair is
        explained, and you say m (match), d (different), u (unsure), s (skip) or q (quit). Decisions
        are kept with your name; they teach later runs and override nothing by themselves.
        """
        with connect_steward(home, patience) as connection:
            reviewer = _reviewer(connection)
            pairs, total = reviewer.pairs(run, low, high, undecided_only=not every, limit=limit)
            if ask and not as_json:
                _ask(reviewer, run, pairs)
                return
        result = {"total": total, "pairs": [_plain(pair) for pair in pairs]}
        shown = [
            f"{len(pairs)} of {total} pairs with match probability {low:g} to {high:g}",
            *(_line(pair) for pair in pairs),
        ]
        if pairs:
            shown.append("next: linkage hub explain RUN PAIR; linkage hub decide RUN PAIR VERDICT")
        show(result, as_json=as_json, text="\n".join(shown))

    @app.command()
    def explain(
        run: RunArgument,
        pair: PairArgument,
        home: HomeOption = home,
        patience: PatienceOption = PATIENCE,
        as_json: JsonOption = False,
    ) -> None:
        """Show what a pair's match weight is made of, field by field, without any value.

        The pieces are log2 odds: each step up doubles the odds that the two records are one
        person. They add up to the pair's weight.
        """
        with connect_steward(home, patience) as connection:
            found = _reviewer(connection).explain(run, pair)
        result = _plain(found.pair) | {
            "contributions": [
                {"name": part.name, "weight": part.weight, "text": part.text}
                for part in found.contributions
            ],
            "competition": found.competition,
        }
        show(result, as_json=as_json, text="\n".join(_waterfall(found)))

    @app.command()
    def decide(
        run: RunArgument,
        pair: PairArgument,
        verdict: Annotated[
            str, typer.Argument(metavar="VERDICT", help="match, different or unsure.")
        ],
        note: NoteOption = "",
        home: HomeOption = home,
        patience: PatienceOption = PATIENCE,
        as_json: JsonOption = False,
    ) -> None:
        """Record what you decided about a pair. The newest decision about two records counts."""
        if verdict not in KEYS.values():
            raise InputError(f"{verdict!r} is no verdict", remedy="Say match, different or unsure")
        with connect_steward(home, patience) as connection:
            made = _reviewer(connection).decide(run, pair, verdict, note, secrets.token_hex(16))
        text = f"{pair}: {verdict}, by {made.decided_by}"
        show(_decision(made), as_json=as_json, text=text)

    @app.command()
    def decisions(
        project: Annotated[str, typer.Argument(metavar="PROJECT", help="The project's name.")],
        home: HomeOption = home,
        patience: PatienceOption = PATIENCE,
        as_json: JsonOption = False,
    ) -> None:
        """List every decision of a project, oldest first; earlier ones about a pair included."""
        with connect_steward(home, patience) as connection:
            found = [_decision(one) for one in _reviewer(connection).decisions(project)]
        lines = [
            f"{one['decided_at']}  {one['left']}/{one['right']}  {one['verdict']:<9}"
            f"  {one['match_probability']:.3f}  {one['decided_by']}  {one['note']}".rstrip()
            for one in found
        ]
        show({"decisions": found}, as_json=as_json, text="\n".join(lines) or "no decisions yet")


def _reviewer(connection: Any) -> Reviewer:
    from linkage.hub.reviewer import Reviewer

    return Reviewer(connection)


def _ask(reviewer: Reviewer, run: str, pairs: Iterable[review_pb2.ReviewPair]) -> None:
    """One pair after another, until all are seen or the person stops."""
    decided = 0
    for pair in pairs:
        output.print("\n".join(_waterfall(reviewer.explain(run, pair.pair))), markup=False)
        answer = ""
        while answer not in (*KEYS, "s", "q"):
            prompt = "match, different, unsure, skip, quit [m/d/u/s/q]"
            answer = str(typer.prompt(prompt, err=True)).strip().lower()[:1]
        if answer == "q":
            break
        if answer in KEYS:
            reviewer.decide(run, pair.pair, KEYS[answer], "", secrets.token_hex(16))
            decided += 1
    errors.print(f"{decided} decided")


def _plain(pair: review_pb2.ReviewPair) -> dict[str, Any]:
    return {
        "pair": pair.pair,
        "left_handle": pair.left_handle.hex(),
        "right_handle": pair.right_handle.hex(),
        "match_probability": pair.match_probability,
        "match_weight": pair.match_weight,
        "levels": {
            level.name: None if level.level < 0 else [level.level, level.highest]
            for level in pair.levels
        },
        "decision": _decision(pair.decision) if pair.HasField("decision") else None,
    }


def _decision(made: review_pb2.Decision) -> dict[str, Any]:
    from linkage.v1 import review_pb2

    return {
        "decision": made.decision,
        "run": made.run,
        "left": made.left_partner,
        "right": made.right_partner,
        "left_handle": made.left_handle.hex(),
        "right_handle": made.right_handle.hex(),
        "verdict": review_pb2.Verdict.Name(made.verdict).removeprefix("VERDICT_").lower(),
        "note": made.note,
        "decided_by": made.decided_by,
        "decided_at": made.decided_at.ToDatetime().isoformat() + "Z",
        "match_probability": made.match_probability,
    }


def _line(pair: review_pb2.ReviewPair) -> str:
    levels = " ".join(
        f"{level.name}:{'-' if level.level < 0 else f'{level.level}/{level.highest}'}"
        for level in pair.levels
    )
    known = f"  [{_decision(pair.decision)['verdict']}]" if pair.HasField("decision") else ""
    return f"{pair.pair}  {pair.match_probability:.3f}  {levels}{known}"


def _waterfall(found: review_pb2.ExplainPairResponse) -> list[str]:
    """The pieces of a weight as bars to the left and right of zero."""
    pair, parts = found.pair, found.contributions
    largest = max([abs(part.weight) for part in parts], default=0.0) or 1.0
    width = max([len(part.name) for part in parts], default=0)
    lines = [f"{pair.pair}: match probability {pair.match_probability:.4f}"]
    for part in parts:
        size = round(BAR * abs(part.weight) / largest)
        bar = ("-" * size).rjust(BAR) + "|" if part.weight < 0 else " " * BAR + "|" + "+" * size
        lines.append(
            f"{part.name:<{width}}  {part.weight:+8.2f}  {bar:<{2 * BAR + 1}}  {part.text}"
        )
    lines.append(f"{'match weight':<{width}}  {pair.match_weight:+8.2f}  (log2 odds)")
    if abs(found.competition) >= 0.01:
        lines.append(f"{'competition':<{width}}  {found.competition:+8.2f}  of other candidates")
    return lines
