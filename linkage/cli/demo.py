"""`linkage demo`: a rehearsal of three partners over a made-up county."""

from __future__ import annotations

import json
import shutil
import time
from pathlib import Path
from typing import Annotated

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

    Leaves the extract in OUT/extract, web pages in OUT/reports, and every figure in
    OUT/result.json. What OUT held is replaced.
    """
    from linkage.cli.rehearsal import Rehearsal
    from linkage.errors import AlreadyExistsError
    from linkage.synthetic import County, write_county

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

    def say(line: str) -> None:
        errors.print(f"  {line}", markup=False)

    say(f"making up a county of {people:,} people")
    county = write_county(County.make(people=people, seed=seed), out / "county")
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
        + f"\n\nextract  {out / 'extract'}\nreports  "
        + "\n         ".join(result["reports"])
    )
    show(result, as_json=as_json, text=text)


def _planted(truth: Path) -> dict[tuple[str, str], dict[str, dict[str, float]]]:
    """The shares that were planted, by what they are grouped by."""
    effect = json.loads(truth.read_bytes())["crisis_to_treatment"]["municipalities"]
    towns = {name: town["planted"] for name, town in effect.items()}
    return {("sheriff_crisis_calls", "health_treatment"): {"municipality": towns}}
