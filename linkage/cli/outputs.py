"""The ready-made outputs of `linkage evaluator`: one command each, and `report` for all."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from linkage.cli.common import JsonOption, show
from linkage.cli.crosswalk_documents import CrosswalkOption, load_crosswalk

if TYPE_CHECKING:
    from linkage.evaluator.linkerror import ModelError
    from linkage.evaluator.output import Output
    from linkage.evaluator.reading import Extract

ExtractArgument = Annotated[
    Path, typer.Argument(metavar="EXTRACT", help="The extract's directory.")
]
OutOption = Annotated[
    Path, typer.Option("--out", help="Directory for the web page and the CSV tables.")
]


LedgerOption = Annotated[
    Path | None,
    typer.Option(
        "--ledger",
        metavar="FILE",
        help="What earlier reports showed, so that none undoes another. Default: beside the"
        " extract, PROJECT.shown.jsonl.",
    ),
]
DaysOption = Annotated[
    int, typer.Option("--days", min=0, help="A service counts that starts within so many days.")
]
ModelErrorOption = Annotated[
    float | None,
    typer.Option(
        "--model-error",
        min=0,
        max=0.5,
        help="What the report's precision and recall may be off by beside chance (95%), either"
        " way. Default: as far as they were seen to be, precision -0.04 to +0.01 and recall -0.03"
        " to +0.16.",
    ),
]
TractsOption = Annotated[
    Path | None,
    typer.Option(
        "--tracts",
        metavar="FILE",
        help="CSV of every census tract: GEOID, population, and x and y or lon and lat.",
    ),
]
DistancesOption = Annotated[
    Path | None,
    typer.Option(
        "--distances",
        metavar="FILE",
        help="CSV of origin, dest (tracts) and cost, such as minutes; default: straight lines.",
    ),
]
ReachOption = Annotated[
    float,
    typer.Option("--reach", help="The largest distance at which a service counts, in its unit."),
]


def add_output_commands(app: typer.Typer) -> None:
    app.command("follow-up")(follow_up)
    app.command("measures")(measures)
    app.command("access")(access)
    app.command("disparities")(disparities)
    app.command("report")(report)


def follow_up(
    extract: ExtractArgument,
    out: OutOption,
    days: DaysOption = 30,
    events: Annotated[
        str | None, typer.Option("--events", metavar="TABLE", help="The events; default: all.")
    ] = None,
    services: Annotated[
        str | None, typer.Option("--services", metavar="TABLE", help="The services; default: all.")
    ] = None,
    by: Annotated[
        list[str] | None,
        typer.Option(
            "--by",
            metavar="COLUMN",
            help="Group by this column of the events or of their partner's person table, by its"
            " name or by what it means; may be repeated. Default: municipality, age and sex.",
        ),
    ] = None,
    every: Annotated[
        bool, typer.Option("--every", help="Count every event, not each person's first.")
    ] = False,
    precision: Annotated[
        float | None,
        typer.Option("--precision", help="Of the links, if known better than by the report."),
    ] = None,
    recall: Annotated[
        float | None,
        typer.Option("--recall", help="Of the links, if known better than by the report."),
    ] = None,
    model_error: ModelErrorOption = None,
    ledger: LedgerOption = None,
    as_json: JsonOption = False,
) -> None:
    """Who of the people with an event reaches a service within N days, and how sure that is.

    For example: of the people with a crisis call, the share that starts treatment within 30
    days, by municipality. Shares are given as seen in the linked data and as corrected for
    missed and wrong links; the corrected interval carries sampling and linkage error. Writes
    follow_up.html and follow_up.csv; groups of few people are empty there.

    Needs an event table and a service table of two partners, with days or months.
    """
    from linkage.evaluator import followup_report
    from linkage.evaluator.followup_tables import Options

    options = Options(
        events=events,
        services=services,
        days=days,
        by=tuple(by or ()),
        every=every,
        precision=precision,
        recall=recall,
        model_error=_model_error(model_error),
    )
    make(lambda read: followup_report.follow_up(read, options), extract, out, ledger, as_json)


def measures(
    extract: ExtractArgument,
    out: OutOption,
    goals: Annotated[
        Path | None,
        typer.Option("--goals", metavar="FILE", help="CSV of group, measure and goal."),
    ] = None,
    not_people: Annotated[
        list[str] | None,
        typer.Option(
            "--not-people",
            metavar="MEASURE",
            help="A measure that counts no people, such as dollars; its small values are"
            " shown. May be repeated.",
        ),
    ] = None,
    ledger: LedgerOption = None,
    as_json: JsonOption = False,
) -> None:
    """Measures by month against goals: those partners report, and those the linked tables give.

    Writes measures.html and measures.csv with the columns group, measure, goal, year, month,
    value. A value of few people, and what would give it away, is blank, never 0.

    Needs a table of measures, or events or services with months.
    """
    from linkage.evaluator import measures_report

    targets = None if goals is None else measures_report.read_goals(goals)
    make(
        lambda read: measures_report.measures(read, goals=targets, not_people=not_people or ()),
        extract,
        out,
        ledger,
        as_json,
    )


def access(
    extract: ExtractArgument,
    out: OutOption,
    tracts: TractsOption = None,
    distances: DistancesOption = None,
    reach: ReachOption = 30.0,
    sites: Annotated[
        str | None, typer.Option("--sites", metavar="TABLE", help="The sites; default: all.")
    ] = None,
    service_type: Annotated[
        str | None, typer.Option("--service-type", help="Count only sites of this type.")
    ] = None,
    year: Annotated[
        int | None, typer.Option("--year", help="Count only this year; default: the newest.")
    ] = None,
    need: Annotated[
        str | None,
        typer.Option("--need", metavar="TABLE", help="The events that are need; default: all."),
    ] = None,
    ledger: LedgerOption = None,
    as_json: JsonOption = False,
) -> None:
    """How well each census tract reaches services, and what is spent per head against need.

    Scores: two-step floating catchment (2SFCA), enhanced (E2SFCA), three-step (3SFCA), and the
    rational agent model (RAAM), by the library access. Services count in the tract of the site,
    not of the organisation's office; a tract's distance to itself is half of that to its nearest
    neighbour. Writes access.html, with a map, and access.csv.

    Needs a table of sites with tracts, and funded amounts for spending (without, sites are
    counted). The file of tracts is yours: the Census publishes populations and centroids.
    """
    from linkage.errors import InputError
    from linkage.evaluator import access_report
    from linkage.evaluator.access_tables import AccessOptions
    from linkage.evaluator.places import read_distances, read_tracts

    if tracts is None:
        raise InputError("no file of tracts", remedy="Give it as --tracts FILE")
    places = read_tracts(tracts)
    costs = None if distances is None else read_distances(distances)
    options = AccessOptions(reach, sites, service_type, year, need)
    make(
        lambda read: access_report.access(read, places, costs, options),
        extract,
        out,
        ledger,
        as_json,
    )


def disparities(
    extract: ExtractArgument,
    out: OutOption,
    days: DaysOption = 30,
    model_error: ModelErrorOption = None,
    ledger: LedgerOption = None,
    as_json: JsonOption = False,
) -> None:
    """Race and ethnicity: how complete by partner, how far partners agree, outcomes by group.

    Outcomes are those of people's first events, and whether a service of another partner
    followed within N days (corrected for linkage error); each group is compared with everybody
    else, with intervals. Writes disparities.html and four CSV tables. Nothing is inferred: who
    gives no race or ethnicity is in no group.

    Needs a person table with a column that means race_ethnicity.
    """
    from linkage.evaluator import disparities_report

    make(
        lambda read: disparities_report.disparities(
            read, days=days, model_error=_model_error(model_error)
        ),
        extract,
        out,
        ledger,
        as_json,
    )


def report(
    extract: ExtractArgument,
    out: OutOption,
    days: DaysOption = 30,
    tracts: TractsOption = None,
    distances: DistancesOption = None,
    reach: ReachOption = 30.0,
    crosswalk: CrosswalkOption = None,
    ledger: LedgerOption = None,
    as_json: JsonOption = False,
) -> None:
    """Write every page and table that the extract permits, and say what it does not permit.

    Each output also has a command of its own, with more choices. Access scores need --tracts;
    the central log takes standard codes from --crosswalk where the extract has local ones.
    """
    from linkage.evaluator.places import read_distances, read_tracts
    from linkage.evaluator.reports import Places, write_reports

    places = None
    if tracts is not None:
        costs = None if distances is None else read_distances(distances)
        places = Places(read_tracts(tracts), costs, reach)
    used = load_crosswalk(crosswalk) if crosswalk else None
    made = write_reports(
        extract, out, days=days, places=places, crosswalk=used, ledger=ledger_of(extract, ledger)
    )
    lines = [f"wrote {path}" for path in (*made.pages, *made.tables)]
    lines += [f"left out {name}: {why}" for name, why in made.left_out.items()]
    result = {
        "pages": [str(path) for path in made.pages],
        "tables": [str(path) for path in made.tables],
        "figures": made.figures,
        "left_out": made.left_out,
    }
    show(result, as_json=as_json, text="\n".join(lines))


def ledger_of(extract: Path, named: Path | None) -> Path:
    """The file that says what the reports of a project's extracts showed."""
    from linkage.evaluator.reading import project_of

    return named or extract.resolve().parent / f"{project_of(extract)}.shown.jsonl"


def _model_error(size: float | None) -> ModelError:
    from linkage.evaluator.linkerror import MEASURED, ModelError

    return MEASURED if size is None else ModelError.of(size)


def make(
    build: Callable[[Extract], Output],
    extract: Path,
    out: Path,
    ledger: Path | None,
    as_json: bool,
) -> None:
    from linkage.evaluator.reading import read_extract

    read = read_extract(extract, ledger=ledger_of(extract, ledger))
    made = build(read)
    read.shown.keep()
    files = made.write(out)
    result: dict[str, Any] = {"files": [str(path) for path in files], **made.figures}
    show(result, as_json=as_json, text="\n".join(f"wrote {path}" for path in files))
