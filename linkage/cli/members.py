"""Commands that partners and recipients share: make keys, enrol, compare fingerprints."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from linkage.cli.common import HomeOption, JsonOption, PatienceOption, show
from linkage.files import private_directory, read_bounded

PATIENCE = 30.0
MAX_INVITATION_BYTES = 65_536


def add_member_commands(app: typer.Typer, default: Path) -> None:
    """Add init, fingerprint, enrol and trust to a role's commands."""

    @app.command()
    def init(home: HomeOption = default, as_json: JsonOption = False) -> None:
        """Make this party's keys. They never leave this machine and are never overwritten."""
        from linkage.trust.keyring import Keyring

        private_directory(home)
        keyring = Keyring.create(home / "keys")
        _show_fingerprint(keyring.fingerprint, as_json)

    @app.command()
    def fingerprint(home: HomeOption = default, as_json: JsonOption = False) -> None:
        """Show the fingerprint that others compare, by telephone, before they trust these keys."""
        from linkage.trust.keyring import Keyring

        _show_fingerprint(Keyring(home / "keys").fingerprint, as_json)

    @app.command()
    def enrol(
        invitation: Annotated[
            Path, typer.Argument(metavar="INVITATION", help="The file the steward gave you.")
        ],
        home: HomeOption = default,
        patience: PatienceOption = PATIENCE,
        as_json: JsonOption = False,
    ) -> None:
        """Join the hub with the steward's invitation, which works once."""
        from linkage.rpc.member import enrol_member

        data = read_bounded(invitation, MAX_INVITATION_BYTES)
        party = enrol_member(home, data, patience=patience)
        result = {"name": party.name, "role": party.role.value, "hub": party.address}
        show(
            result,
            as_json=as_json,
            text=f"enrolled as {party.role} {party.name!r}; the invitation file can be deleted",
        )

    @app.command()
    def trust(
        keys: Annotated[
            list[str],
            typer.Argument(
                metavar="NAME FINGERPRINT",
                help="Another party, and its fingerprint as it reads it out: 64 hexadecimal digits,"
                " or 24 words; pairs may repeat.",
            ),
        ],
        home: HomeOption = default,
        as_json: JsonOption = False,
    ) -> None:
        """Trust other parties' keys, after comparing fingerprints out of band.

        Ask over a channel that is not the hub; the other party reads from its command
        fingerprint. Keys that the hub shows later and that differ are refused.
        """
        from linkage.trust.fingerprints import pairs as read_pairs
        from linkage.trust.keyring import Keyring

        pairs = read_pairs(keys)
        keyring = Keyring(home / "keys")
        for name, digest in pairs.items():
            keyring.trust(name, digest)
        show({"trusted": list(pairs)}, as_json=as_json, text=f"trusted {', '.join(pairs)}")


def _show_fingerprint(fingerprint: str, as_json: bool) -> None:
    from linkage.trust.fingerprints import described, words

    result = {"fingerprint": fingerprint, "words": " ".join(words(fingerprint))}
    show(result, as_json=as_json, text=described(fingerprint))
