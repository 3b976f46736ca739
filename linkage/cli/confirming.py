"""`linkage hub release`, `confirm` and `steward-key`: what leaves, and which stewards say so."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from linkage.cli.common import HomeOption, JsonOption, PatienceOption, connect_steward, show

if TYPE_CHECKING:
    from linkage.hub.steward import Steward
    from linkage.trust.keyring import Keyring
    from linkage.v1 import release_pb2

PATIENCE = 30.0


def add_confirming_commands(app: typer.Typer, home: Path) -> None:
    """The commands, beside the hub's others.

    Args:
        home: the hub's default home.
    """

    @app.command()
    def release(
        run: Annotated[str, typer.Argument(metavar="RUN", help="The run's id.")],
        threshold: Annotated[
            float | None,
            typer.Option(
                "--threshold",
                min=0,
                max=1,
                help="Match probability to link from; default: the report's.",
            ),
        ] = None,
        home: HomeOption = home,
        patience: PatienceOption = PATIENCE,
        as_json: JsonOption = False,
    ) -> None:
        """Propose a run's links for release; every partner then approves.

        Where the manifest asks for two stewards, this confirms for the first; another one runs
        confirm before partners are asked. A release that would tell of too few people, as the
        manifest's safeguards say, is withheld.
        """
        from linkage.hub.steward import Steward

        with connect_steward(home, patience) as connection:
            steward = Steward(connection)
            found = steward.release(run, threshold)
            if _waits(found):
                found = _confirm(steward, found, home)
            wire = vars(connection.wire)
        result: dict[str, Any] = {**_described(found), "continuity": None, "wire": wire}
        lines = [
            f"proposed release {found.release}: links from match probability {found.threshold:g}"
        ]
        if found.HasField("continuity"):
            since = found.continuity
            result["continuity"] = {
                field.name: getattr(since, field.name) for field in since.DESCRIPTOR.fields
            }
            lines.append(
                f"since release {since.former}: {since.kept} linkage ids go on, {since.started} are"
                f" new, {since.merged} clusters merged, {since.split} split, {since.ended} ended"
            )
        lines.append(_next(found))
        show(result, as_json=as_json, text="\n".join(lines))

    @app.command()
    def confirm(
        release: Annotated[str, typer.Argument(metavar="RELEASE", help="The release's id.")],
        home: HomeOption = home,
        patience: PatienceOption = PATIENCE,
        as_json: JsonOption = False,
    ) -> None:
        """Confirm a release that another steward proposed, where the manifest asks for two.

        Signs its run, threshold and quality report with this steward's key, which must stand in the
        manifest (see: linkage hub steward-key). Look at the run's report first.
        """
        from linkage.hub.steward import Steward

        with connect_steward(home, patience) as connection:
            steward = Steward(connection)
            found = _confirm(steward, steward.find_release(release), home)
        text = f"confirmed release {release}: links from match probability {found.threshold:g}"
        show(_described(found), as_json=as_json, text=f"{text}\n{_next(found)}")

    @app.command("steward-key")
    def steward_key(home: HomeOption = home, as_json: JsonOption = False) -> None:
        """Print this steward's public key, made on first use, for a manifest's `stewards`.

        The private key stays in HOME/steward/keys. Who asks for two stewards names at least two,
        with the keys that each of them reads out.
        """
        from linkage.rpc.party import Party

        name = Party.load(home / "steward").name
        key = _keyring(home).signing_public.hex()
        found = {"name": name, "key": key}
        show(found, as_json=as_json, text=json.dumps(found))


def _confirm(steward: Steward, found: release_pb2.Release, home: Path) -> release_pb2.Release:
    from linkage.rpc.party import Party
    from linkage.trust.signing import sign
    from linkage.trust.statements import confirmation_statement

    name = Party.load(home / "steward").name
    said = confirmation_statement(found.statement, name)
    return steward.confirm(found.release, sign(_keyring(home).signing_key, said))


def _keyring(home: Path) -> Keyring:
    from linkage.trust.keyring import Keyring

    place = home / "steward" / "keys"
    return Keyring(place) if place.exists() else Keyring.create(place)


def _waits(found: release_pb2.Release) -> bool:
    from linkage.v1 import release_pb2

    return found.state == release_pb2.RELEASE_STATE_UNCONFIRMED


def _described(found: release_pb2.Release) -> dict[str, Any]:
    return {
        "release": found.release,
        "threshold": found.threshold,
        "confirmed_by": [one.steward for one in found.confirmations],
        "confirmed": not _waits(found),
    }


def _next(found: release_pb2.Release) -> str:
    if _waits(found):
        by = ", ".join(one.steward for one in found.confirmations) or "nobody"
        return f"confirmed by {by}\nnext: another steward runs: linkage hub confirm {found.release}"
    return "next: each partner runs: linkage agent approve"
