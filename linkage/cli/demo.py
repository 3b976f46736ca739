"""`linkage demo`: a rehearsal of three partners over a made-up county."""

from __future__ import annotations

import json
import shutil
import time
from pathlib import Path
from typing import Annotated, Any

import typer

from linkage.cli.common import JsonOption, errors, show
from linkage.cli.manifest import load_manifest
from linkage.cli.rehearse import summary
from linkage.files import write_atomic


def demo(
    out: Annotated[Path, typer.Option("--out", help="Directory for everything it makes.")] = Path(
        "build/demo"
    ),
    people: Annotated[
        int, typer.Option("--people", min=500, max=2_000_000, help="How many people live there.")
    ] = 20_000,
    seed: Annotated[int, typer.Option("--seed", help="Another seed, another county.")] = 2026,
    as_json: JsonOption = False,
) -> None:
    """Link a made-up county's sheriff, health department and social services, end to end.

    Leaves the extract in OUT/extract, web pages and tables in OUT/reports, and every figure in
    OUT/result.json. Effects were planted in the county; it says how many the reports give back
    within the intervals that they state. What OUT held is replaced.
    """
    from linkage.cli.processes import load_early
    from linkage.errors import AlreadyExistsError

    marker = out / ".linkage-demo"
    if out.exists() and any(out.iterdir()):
        if not marker.exists():
            raise AlreadyExistsError(
                f"{out} holds something that is not a demo", remedy="Name another directory"
            )
        shutil.rmtree(out)
    out.mkdir(parents=True, exist_ok=True)
    marker.touch()
    start = time.perf_counter()
    load_early()
    from linkage.cli.county_crosswalk import county_crosswalk
    from linkage.cli.rehearsal import Rehearsal
    from linkage.synthetic import County, write_county

    def say(line: str) -> None:
        errors.print(f"  {line}", markup=False)

    say(f"making up a county of {people:,} people")
    county = write_county(County.make(people=people, seed=seed), out / "county")
    crosswalk = county.manifest.parent / "crosswalk.json"
    write_atomic(crosswalk, county_crosswalk().canonical, mode=0o644)
    with Rehearsal(
        load_manifest(county.manifest),
        county.identifiers,
        out / "work",
        content={
            (partner, table): file
            for partner, tables in county.content.items()
            for table, file in tables.items()
        },
        truth="truth",
        tracts=county.tracts,
        crosswalk=crosswalk,
        planted=_planted(county.truth),
        say=say,
    ) as rehearsal:
        result = rehearsal.run()
        for name in ("extract", "reports"):
            shutil.move(rehearsal.directory / name, out / name)
    result["reports"] = [str(out / "reports" / Path(page).name) for page in result["reports"]]
    result["total_seconds"] = round(time.perf_counter() - start, 1)
    write_atomic(out / "result.json", json.dumps(result, indent=1).encode(), mode=0o644)
    text = (
        summary(result)
        + "\n".join(["", *_recovered(result["figures"])])
        + f"\n\nextract  {out / 'extract'}\nreports  "
        + "\n         ".join(result["reports"])
    )
    show(result, as_json=as_json, text=text)


def _planted(truth: Path) -> dict[str, Any]:
    """What was planted, as the fields of `evaluator.reports.Known`."""
    planted = json.loads(truth.read_bytes())
    effect = planted["crisis_to_treatment"]["municipalities"]
    towns = {name: town["planted"] for name, town in effect.items()}
    people = sum(town["people_with_call"] for town in effect.values())
    everybody = sum(town["treated"] for town in effect.values()) / people
    calls = "sheriff_crisis_calls"
    return {
        "followed": {
            (calls, "health_treatment"): {
                "everybody": {"everybody": everybody},
                "municipality": towns,
            }
        },
        "outcomes": {
            (calls, "disposition", "JAIL", name): rate
            for name, rate in planted["jailed"]["categories"].items()
        },
        "spending": planted["spending"],
    }


_PLANTED = {
    "follow_up": "treatment within 30 days of a crisis call: everybody, and by municipality",
    "disparities": "calls that end in jail, by race and ethnicity",
    "access": "spending by census tract, exactly",
}


def _recovered(figures: dict[str, Any]) -> list[str]:
    """How many of the planted effects lie in the intervals that the reports state."""
    lines = ["", "planted in the county and found again, within the stated 95% intervals:"]
    for report, what in _PLANTED.items():
        if found := figures.get(report, {}).get("recovered"):
            lines.append(f"  {found['inside']:>3} of {found['of']:<4}{what}")
    return lines
