"""Commands of the hub's steward about who takes part: invitations, parties, revocation.

All but `enrol` work on the hub's own machine and directly on its database, whether or not the hub
runs; a hub that runs knows within a second.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from linkage.cli.common import HomeOption, JsonOption, PassphraseOption, PatienceOption, show
from linkage.files import read_bounded, write_atomic

if TYPE_CHECKING:
    from linkage.hub.membership import Membership

PATIENCE = 30.0
MAX_INVITATION_BYTES = 65_536
MAX_REASON = 500


def add_membership_commands(app: typer.Typer, default: Path) -> None:
    """Add invite, invitations, withdraw, parties, revoke and enrol."""
    _add_invitations(app, default)
    _add_parties(app, default)


def _add_invitations(app: typer.Typer, default: Path) -> None:
    @app.command()
    def invite(
        names: Annotated[list[str], typer.Argument(metavar="NAME...", help="The parties' names.")],
        role: Annotated[
            str,
            typer.Option(
                "--role", help="partner, assembler, evaluator or steward.", show_default=True
            ),
        ] = "partner",
        out: Annotated[
            Path, typer.Option("--out", help="Directory for the files NAME.invite.")
        ] = Path(),
        days: Annotated[
            int | None,
            typer.Option(
                "--days", min=1, max=90, help="How long it is good; default: the hub's setting, 7."
            ),
        ] = None,
        new_keys: Annotated[
            bool,
            typer.Option(
                "--new-keys",
                help="The party's keys are lost or stolen: let it come with others, which everybody"
                " then compares and trusts anew.",
            ),
        ] = False,
        home: HomeOption = default,
        passphrase: PassphraseOption = None,
        as_json: JsonOption = False,
    ) -> None:
        """Write a one-time invitation file for each party; hand it over out of band.

        Runs on the hub's machine; a file works once, for seven days. A party whose certificate has
        expired, or whose access was ended, is invited again; it keeps its keys. A further steward
        enrols on a machine of its own by linkage hub enrol.
        """
        del passphrase  # Remembered by its callback.
        from pydantic import TypeAdapter, ValidationError

        from linkage.agreement.fields import Name
        from linkage.errors import InputError
        from linkage.hub.home import HubHome
        from linkage.trust.identity import Role

        if role not in set(Role) - {Role.INVITEE}:
            raise InputError(
                f"{role!r} is no role", remedy="Use partner, assembler, evaluator or steward"
            )
        try:
            TypeAdapter(list[Name]).validate_python(names)
        except ValidationError:
            raise InputError(
                "a name is malformed",
                remedy="Use lower-case letters, digits, - and _, starting with a letter",
            ) from None
        loaded = HubHome.load(home)
        database = loaded.database()
        enrolment = loaded.enrolment(database)
        files = {}
        for name in names:
            invitation = enrolment.invite(
                name,
                Role(role),
                loaded.settings.address,
                lifetime=None if days is None else timedelta(days=days),
                new_keys=new_keys,
            )
            files[name] = out / f"{name}.invite"
            write_atomic(files[name], invitation.model_dump_json().encode())
        database.close()
        result = {"role": role, "files": {name: str(path) for name, path in files.items()}}
        lines = [f"wrote {path}; give it to {name!r} out of band" for name, path in files.items()]
        show(result, as_json=as_json, text="\n".join(lines))

    @app.command()
    def invitations(home: HomeOption = default, as_json: JsonOption = False) -> None:
        """List invitations that nobody has used."""
        with _membership(home) as membership:
            found = [
                {**row, "expires_at": _moment(row["expires_at"])}
                for row in membership.invitations()
            ]
        lines = [
            f"{row['id']}  {row['role']:<10} {row['name']:<20} "
            + (f"until {row['expires_at'][:16]}" if row["open"] else "expired or withdrawn")
            for row in found
        ]
        text = "\n".join(lines) or "no invitation is open"
        show({"invitations": found}, as_json=as_json, text=text)

    @app.command()
    def withdraw(
        invitation: Annotated[
            str,
            typer.Argument(
                metavar="INVITATION", help="Its id, as invitations lists it; or a party's name."
            ),
        ],
        home: HomeOption = default,
        as_json: JsonOption = False,
    ) -> None:
        """Make an invitation worthless before it is used; a name withdraws all of its open ones."""
        with _membership(home) as membership:
            names = membership.withdraw(invitation)
        result = {"withdrawn": len(names), "names": sorted(set(names))}
        show(result, as_json=as_json, text=f"withdrew {len(names)} for {', '.join(set(names))}")


def _add_parties(app: typer.Typer, default: Path) -> None:
    @app.command()
    def parties(home: HomeOption = default, as_json: JsonOption = False) -> None:
        """List who has enrolled, until when each is certified, and whose access was ended."""
        with _membership(home) as membership:
            found = [_party(row) for row in membership.parties()]
        lines = []
        for one in found:
            if one["revoked"]:
                state = f"ended {one['revoked'][:16]}"
                state += f": {one['reason']}" if one["reason"] else ""
            else:
                state = f"certified until {(one['certified_until'] or 'never')[:16]}"
            lines.append(f"{one['role']:<10} {one['name']:<20} {state}")
        show({"parties": found}, as_json=as_json, text="\n".join(lines))

    @app.command()
    def revoke(
        name: Annotated[str, typer.Argument(metavar="NAME", help="The party.")],
        reason: Annotated[
            str, typer.Option("--reason", help="Why, for this hub's own record only.")
        ] = "",
        home: HomeOption = default,
        as_json: JsonOption = False,
    ) -> None:
        """End a party's access at once: for new calls, for renewal, and for its open streams.

        Its invitations become worthless. What it uploaded stays. A new invitation restores the
        party with the keys it has; with --new-keys, when these are lost or stolen.
        """
        from linkage.errors import InputError

        if len(reason) > MAX_REASON or not reason.isprintable():
            raise InputError(f"a reason has at most {MAX_REASON} printable characters")
        with _membership(home) as membership:
            membership.revoke(name, reason)
        text = f"ended the access of {name!r}; to restore it: linkage hub invite {name}"
        show({"revoked": name}, as_json=as_json, text=text)

    @app.command()
    def enrol(
        invitation: Annotated[
            Path, typer.Argument(metavar="INVITATION", help="The file the first steward gave you.")
        ],
        home: HomeOption = default,
        patience: PatienceOption = PATIENCE,
        as_json: JsonOption = False,
    ) -> None:
        """Become a further steward, on a machine of your own, by an invitation that works once.

        The other commands (propose, run, release, ...) then work with the same --home.
        """
        from linkage.errors import InputError
        from linkage.rpc.party import enrol as enrol_party
        from linkage.rpc.party import read_invitation

        invited = read_invitation(read_bounded(invitation, MAX_INVITATION_BYTES))
        if invited.role != "steward":
            group = "agent" if invited.role == "partner" else "evaluator"
            raise InputError(
                f"this invitation is for a {invited.role}", remedy=f"Use: linkage {group} enrol"
            )
        party = enrol_party(
            home / "steward",
            invited,
            signing_key=b"",
            sealing_key=b"",
            sign=lambda _: b"",
            patience=patience,
        )
        result = {"name": party.name, "role": party.role.value, "hub": party.address}
        text = f"enrolled as steward {party.name!r}; the invitation file can be deleted"
        show(result, as_json=as_json, text=text)


@contextmanager
def _membership(home: Path) -> Iterator[Membership]:
    from linkage.hub.home import HubHome
    from linkage.hub.membership import Membership

    database = HubHome.load(home).database()
    try:
        yield Membership(database)
    finally:
        database.close()


def _party(row: Any) -> dict[str, Any]:
    from linkage.trust.signing import key_fingerprint

    signing, sealing = row["signing_key"], row["sealing_key"]
    return {
        "name": row["name"],
        "role": row["role"],
        "enrolled": _moment(row["enrolled_at"]),
        "certified_until": _moment(row["certified_until"]),
        "fingerprint": key_fingerprint(signing, sealing) if signing else None,
        "revoked": _moment(row["revoked_at"]),
        "reason": row["revoked_for"],
    }


def _moment(seconds: int | None) -> Any:
    return None if seconds is None else datetime.fromtimestamp(seconds, UTC).isoformat()
