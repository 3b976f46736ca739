"""`linkage hub`: the steward's side; init, serve and invite run on the hub's own machine."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from linkage.cli.common import (
    HomeOption,
    JsonOption,
    PassphraseOption,
    PatienceOption,
    audit_lines,
    connect_steward,
    default_home,
    show,
)
from linkage.cli.confirming import add_confirming_commands
from linkage.cli.drafting import draft_manifest
from linkage.cli.following import add_following_commands, waiting_fields
from linkage.cli.membership import add_membership_commands
from linkage.cli.reviewing import add_review_commands
from linkage.cli.succession import add_succession_commands, proposed_fields
from linkage.files import write_atomic

HOME = default_home("hub")
PATIENCE = 30.0

app = typer.Typer(
    no_args_is_help=True,
    help=(
        "Run the hub and steward its projects. The hub holds encodings and sealed content, never"
        " identifiers, content in clear, or the project secret.\n\n"
        "In order: init, serve, invite, propose, run, report, release."
    ),
)

RunArgument = Annotated[str, typer.Argument(metavar="RUN", help="The run's id.")]


add_review_commands(app, HOME)


@app.command()
def init(
    name: Annotated[str, typer.Option("--name", help="The hub's name, part of every identity.")],
    home: HomeOption = HOME,
    address: Annotated[
        str, typer.Option("--address", help="host:port to listen on, named in invitations.")
    ] = "localhost:7443",
    host: Annotated[
        list[str] | None,
        typer.Option("--host", help="Name or address the hub is reached by; may be repeated."),
    ] = None,
    passphrase: PassphraseOption = None,
    no_passphrase: Annotated[
        bool,
        typer.Option(
            "--no-passphrase",
            help="Leave the hub's keys unencrypted: only for rehearsals, or on a disk that is.",
        ),
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Make a hub: its directory, certificate authority, database, and first steward.

    The authority's key is locked by a passphrase of at least 12 characters. At a terminal you are
    asked for it; a script says with --passphrase where it is, and init keeps that place (not the
    passphrase) for serve and invite, unless it is fd:. Without the passphrase, and without a
    backup made by linkage keys backup, the hub is lost: keep it in a safe.
    """
    from contextlib import nullcontext

    from linkage.errors import InputError
    from linkage.hub.home import initialise
    from linkage.trust.secrets import ask, read_secret

    if passphrase and no_passphrase:
        raise InputError("--passphrase and --no-passphrase contradict each other")
    secret = read_secret(passphrase) if passphrase else None
    if secret is None and not no_passphrase:
        secret = ask("Passphrase for the hub's keys", twice=True)
    if secret is None and not no_passphrase:
        raise InputError(
            "how are the hub's keys to be kept?",
            remedy="Say where their passphrase is, as --passphrase file:PATH, env:NAME, fd:NUMBER"
            " or keyring:SERVICE/NAME; or leave them unencrypted with --no-passphrase",
        )
    hosts = host or sorted({address.rpartition(":")[0], "localhost", "127.0.0.1"})
    with secret or nullcontext():
        made = initialise(
            home,
            name=name,
            address=address,
            hosts=hosts,
            passphrase=secret,
            passphrase_uri=passphrase or "",
        )
    result = {
        "name": name,
        "home": str(made.path),
        "address": address,
        "hosts": list(hosts),
        "locked": made.vault.locked,
    }
    text = f"made hub {name!r} in {made.path}\nnext: linkage hub serve --home {home}"
    show(result, as_json=as_json, text=text)


@app.command()
def serve(
    home: HomeOption = HOME,
    address: Annotated[
        str | None, typer.Option("--address", help="Listen here instead; port 0 takes a free one.")
    ] = None,
    ready: Annotated[
        Path | None, typer.Option("--ready", help="Write host:port here once calls are taken.")
    ] = None,
    passphrase: PassphraseOption = None,
) -> None:
    """Serve until interrupted. A run under way when the hub stops goes on at the next start."""
    del passphrase  # Remembered by its callback, for whoever opens a secret.
    from linkage.hub.home import HubHome
    from linkage.hub.main import HubServer
    from linkage.hub.main import serve as serve_until_stopped

    loaded = HubHome.load(home)
    server = HubServer(loaded, address=address)
    listening = (address or loaded.settings.address).rpartition(":")[0]

    def started(port: int) -> None:
        if ready is not None:
            write_atomic(ready, f"{listening}:{port}".encode())
        sys.stderr.write(f"serving on {listening}:{port}\n")

    serve_until_stopped(server, started)


add_membership_commands(app, HOME)


add_succession_commands(app, HOME)


app.command("draft-manifest")(draft_manifest)


@app.command()
def status(
    home: HomeOption = HOME, patience: PatienceOption = PATIENCE, as_json: JsonOption = False
) -> None:
    """Show every project: who has signed and uploaded, its runs and releases."""
    from linkage.agreement.audits import read_summaries
    from linkage.hub.steward import Steward, state_name

    projects: list[dict[str, Any]] = []
    with connect_steward(home, patience) as connection:
        steward = Steward(connection)
        for name in steward.project_names():
            found = steward.project(name)
            releases = steward.releases(name)
            runs = steward.runs(name)
            projects.append(
                {
                    "project": name,
                    "fingerprint": found.fingerprint,
                    "epoch": found.epoch,
                    "proposed": proposed_fields(found),
                    "enrolled": [p.name for p in found.parties],
                    "signed": [s.partner for s in found.signatures],
                    "committed": list(found.committed),
                    "revealed": list(found.revealed),
                    "uploaded": list(found.uploaded),
                    "audits": read_summaries((a.partner, a.summary) for a in found.audits),
                    "runs": [
                        {"run": r.run, "state": state_name(r), **waiting_fields(r)} for r in runs
                    ],
                    "releases": [
                        {
                            "release": r.release,
                            "threshold": r.threshold,
                            "approved_by": [a.partner for a in r.approvals],
                            "contributed": list(r.contributed),
                        }
                        for r in releases
                    ],
                }
            )
    lines = []
    for p in projects:
        lines.append(f"{p['project']}, epoch {p['epoch']}")
        lines += [
            f"  {what:<9} {', '.join(p[what]) or 'nobody'}"
            for what in ("enrolled", "signed", "committed", "revealed", "uploaded")
        ]
        lines += audit_lines(p["audits"])
        if waits := p["proposed"]:
            lines.append(
                f"  version {waits['version']} is proposed, and signed by"
                f" {', '.join(waits['signed']) or 'nobody'}"
            )
        lines += [_run_line(r) for r in p["runs"]]
        for r in p["releases"]:
            approved, sent = ", ".join(r["approved_by"]), ", ".join(r["contributed"])
            lines.append(f"  release {r['release']} from probability {r['threshold']:g}:")
            lines.append(f"    approved by {approved or 'nobody'}; parcels from {sent or 'nobody'}")
    show({"projects": projects}, as_json=as_json, text="\n".join(lines) or "no projects yet")


add_following_commands(app, HOME)


@app.command()
def cancel(
    run: RunArgument,
    home: HomeOption = HOME,
    patience: PatienceOption = PATIENCE,
    as_json: JsonOption = False,
) -> None:
    """Cancel a run."""
    from linkage.hub.steward import Steward, state_name

    with connect_steward(home, patience) as connection:
        state = state_name(Steward(connection).cancel(run))
    show({"run": run, "state": state}, as_json=as_json, text=f"run {run}: {state}")


@app.command()
def report(
    run: RunArgument,
    html: Annotated[
        Path | None, typer.Option("--html", help="Write the report as a web page here.")
    ] = None,
    home: HomeOption = HOME,
    patience: PatienceOption = PATIENCE,
    as_json: JsonOption = False,
) -> None:
    """Show a run's quality report: estimates only, no row, no value."""
    from linkage.hub.steward import Steward

    with connect_steward(home, patience) as connection:
        found = Steward(connection).report(run)
    if html is not None:
        from linkage.reports.quality import quality_page

        write_atomic(html, quality_page(found).encode(), mode=0o644)
    text = json.dumps(found["recommended"], indent=2) if html is None else f"wrote {html}"
    show(found, as_json=as_json, text=text)


@app.command()
def links(
    run: RunArgument,
    out: Annotated[Path, typer.Option("--out", help="Parquet file to write.")],
    min_probability: Annotated[
        float,
        typer.Option(
            "--min-probability", min=0, max=1, help="Leave out pairs below this match probability."
        ),
    ] = 0.0,
    home: HomeOption = HOME,
    patience: PatienceOption = PATIENCE,
    as_json: JsonOption = False,
) -> None:
    """Write a run's scored pairs by random row handle, for review."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    from linkage.hub.steward import Steward

    kind = pa.binary(16)
    schema = pa.schema(
        {
            "left_partner": pa.string(),
            "right_partner": pa.string(),
            "left_handle": kind,
            "right_handle": kind,
            "match_probability": pa.float64(),
        }
    )
    count = 0
    with (
        connect_steward(home, patience) as connection,
        pq.ParquetWriter(out, schema) as writer,
    ):
        for batch in Steward(connection).links(run, min_probability):
            size = len(batch.probability)
            handles = [
                pa.Array.from_buffers(kind, size, [None, pa.py_buffer(h.tobytes())])
                for h in (batch.left_handles, batch.right_handles)
            ]
            names = [pa.repeat(n, size) for n in (batch.left_partner, batch.right_partner)]
            columns = [*names, *handles, pa.array(batch.probability)]
            writer.write_table(pa.table(columns, schema=schema))
            count += size
    show({"pairs": count, "file": str(out)}, as_json=as_json, text=f"wrote {count} pairs to {out}")


add_confirming_commands(app, HOME)


def _run_line(run: dict[str, Any]) -> str:
    line = f"  run {run['run']}: {run['state']}"
    if "until" in run:
        line += (
            f" for {', '.join(run['waiting_for'])} until {run['until'][:16].replace('T', ' ')} UTC"
        )
    return line
