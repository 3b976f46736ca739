"""`linkage keys`: the keys of a home: show, lock, change, back up, restore."""

from __future__ import annotations

import json
from contextlib import suppress
from pathlib import Path
from typing import Annotated, Any

import typer

from linkage.cli.common import (
    HomeOption,
    JsonOption,
    PassphraseOption,
    PatienceOption,
    default_home,
    show,
)
from linkage.errors import InputError, LinkageError, NotFoundError

HOME = default_home("agent")
PATIENCE = 30.0

app = typer.Typer(
    no_args_is_help=True,
    help=(
        "Look after the keys of a home: a partner's, a recipient's, or the hub's.\n\n"
        "Once: recovery-key (kept in a safe) and lock. After enrolling, and after every change:"
        " backup. See keys/README.md."
    ),
)


@app.command("show")
def show_keys(
    home: HomeOption = HOME,
    with_qr: Annotated[
        bool, typer.Option("--qr", help="Also as a QR code, to be scanned in person.")
    ] = False,
    passphrase: PassphraseOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show the fingerprint of this home's public keys, whom it trusts, and what it refused.

    A hub's home: the fingerprint of its authority's certificate.
    """
    del passphrase
    from linkage.trust.fingerprints import described, qr, words
    from linkage.trust.signing import grouped
    from linkage.trust.vault import Vault

    vault = Vault(home)
    trusted: dict[str, str] = {}
    refused: list[dict[str, Any]] = []
    if (home / "hub.json").exists():
        what, digest = "certificate of the hub's authority", _authority_fingerprint(home)
    else:
        from linkage.trust.keyring import Keyring

        keyring = Keyring(home / "keys")
        what, digest = "public keys of this party", keyring.fingerprint
        trusted, refused = keyring.trusted, keyring.refused
    result = {
        "what": what,
        "fingerprint": digest,
        "words": " ".join(words(digest)),
        "locked": vault.locked,
        "files": list(vault.names),
        "trusted": trusted,
        "refused": refused,
    }
    lines = [f"{what}:", "", described(digest), ""]
    if with_qr:
        lines += [qr(digest)]
    lines += [f"secret files ({'locked' if vault.locked else 'not locked'}):"]
    lines += [f"  {name}" for name in vault.names]
    lines += [f"trusts {name}: {grouped(other)}" for name, other in sorted(trusted.items())]
    for one in refused:
        why = "vouched for by those trusted" if one["vouched"] else "nothing vouched for them"
        lines.append(f"refused other keys of {one['party']} on {one['time'][:10]}: {why}")
    show(result, as_json=as_json, text="\n".join(lines))


@app.command()
def lock(
    home: HomeOption = HOME,
    new_passphrase: Annotated[
        str | None,
        typer.Option(
            "--new-passphrase",
            metavar="URI",
            help="Where the passphrase is that shall lock the home; without it you are asked.",
        ),
    ] = None,
    passphrase: PassphraseOption = None,
    as_json: JsonOption = False,
) -> None:
    """Lock a home's secret files by a passphrase, or give a locked home another one.

    The place of the new passphrase is kept, so that later commands find it there, unless it is
    fd: or was typed. --passphrase is that of the present one.
    """
    del passphrase
    from linkage.trust.secrets import ask, read_secret
    from linkage.trust.vault import Vault

    vault = Vault(home)
    if not vault.names:
        raise NotFoundError(f"{home} holds no keys", remedy="Make them with: linkage agent init")
    if new_passphrase:
        secret = read_secret(new_passphrase)
    else:
        asked = ask("New passphrase", twice=True)
        if asked is None:
            raise InputError(
                "where is the new passphrase?",
                remedy="Say so with --new-passphrase file:PATH, env:NAME, fd:NUMBER or"
                " keyring:SERVICE/NAME",
            )
        secret = asked
    with secret:
        done = vault.lock(secret, new_passphrase or "")
    text = f"locked {len(done)} files" if done else "changed the passphrase"
    show({"locked": list(done)}, as_json=as_json, text=text)


@app.command()
def unlock(
    home: HomeOption = HOME, passphrase: PassphraseOption = None, as_json: JsonOption = False
) -> None:
    """Keep a home's secret files plain again."""
    del passphrase
    from linkage.trust.vault import Vault

    done = Vault(home).unlock()
    text = f"unlocked {len(done)} files" if done else "the home was not locked"
    show({"unlocked": list(done)}, as_json=as_json, text=text)


@app.command()
def rotate(
    home: HomeOption = HOME,
    passphrase: PassphraseOption = None,
    patience: PatienceOption = PATIENCE,
    as_json: JsonOption = False,
) -> None:
    """Change this party's signing, sealing and TLS keys for new ones.

    The old keys sign for the new ones; the hub shows that to everybody, so that it is seen to be no
    swap. Until the others have compared and trusted the new fingerprint, they take and send you
    nothing. Manifests are signed again by this command. A release that was approved but not
    assembled yet is to be approved and contributed to again: rather wait until it is. Encodings,
    project secrets and what others trust stay. Killed half-way, it is run again.

    After a theft this is not enough: a thief could have signed too. See linkage hub revoke.
    """
    del passphrase
    from linkage.rpc.member import rotate_keys
    from linkage.trust.fingerprints import described, words

    done = rotate_keys(home, patience=patience)
    signed, unsigned = _sign_again(home, patience)
    result = {
        "former": done.former,
        "fingerprint": done.fingerprint,
        "words": " ".join(words(done.fingerprint)),
        "signed": signed,
        "unsigned": unsigned,
    }
    lines = ["changed the keys; the new fingerprint is", "", described(done.fingerprint), ""]
    lines += [f"signed {project} again" for project in signed]
    lines += [f"could not sign {project} again: run linkage agent sign" for project in unsigned]
    lines += ["next: have everybody compare and trust it; then: linkage keys backup"]
    show(result, as_json=as_json, text="\n".join(lines))


@app.command("recovery-key")
def recovery_key(
    out: Annotated[
        Path, typer.Option("--out", help="File for the private half; the public one goes beside.")
    ],
    as_json: JsonOption = False,
) -> None:
    """Make a recovery key: OUT, and OUT.pub beside it.

    Make it on a machine that is offline if you can. The private half goes to a safe on two media;
    it opens every backup made for it. The public half goes to the machines that make backups.
    """
    from linkage.trust.backup import make_recovery_key
    from linkage.trust.fingerprints import described, words

    public = out.with_name(f"{out.name}.pub")
    digest = make_recovery_key(out, public)
    result = {
        "private": str(out),
        "public": str(public),
        "fingerprint": digest,
        "words": " ".join(words(digest)),
    }
    text = f"wrote {out} (keep it offline) and {public}; fingerprint of the latter:\n\n"
    show(result, as_json=as_json, text=text + described(digest))


@app.command()
def backup(
    to: Annotated[
        Path, typer.Option("--to", metavar="FILE.pub", help="Public half of the recovery key.")
    ],
    out: Annotated[Path, typer.Option("--out", help="Backup to write; never overwritten.")],
    home: HomeOption = HOME,
    passphrase: PassphraseOption = None,
    as_json: JsonOption = False,
) -> None:
    """Back up all of a home that cannot be made again, encrypted to a recovery key.

    Keys, project secrets, identity, trusted fingerprints, signed manifests, row maps, study maps.
    Left out: encodings, which come from the source file; a hub's database and blobs, which have
    their own backups. Locked files can be restored without their passphrase.
    """
    del passphrase
    from linkage.trust.backup import back_up, read_public
    from linkage.trust.signing import grouped

    public, digest = read_public(to)
    names = back_up(home, public, out)
    result = {"file": str(out), "files": names, "recovery_key": digest}
    text = f"wrote {len(names)} files to {out}\nfor the recovery key {grouped(digest)}"
    show(result, as_json=as_json, text=text)


@app.command()
def restore(
    file: Annotated[Path, typer.Argument(metavar="BACKUP", help="The backup.")],
    key: Annotated[Path, typer.Option("--key", help="Private half of the recovery key.")],
    home: HomeOption = HOME,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Open and check all of it, and write nothing.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Restore a backup to a new home; one that holds anything is never overwritten.

    What is restored is not locked: run keys lock. A certificate that ran out meanwhile is replaced
    by a new invitation of the steward.
    """
    from linkage.trust.backup import restore as open_backup

    names = open_backup(file, key, home, dry_run=dry_run)
    done = "would restore" if dry_run else "restored"
    result = {"home": str(home), "files": names, "dry_run": dry_run}
    text = "\n".join([*(f"  {name}" for name in names), f"{done} {len(names)} files to {home}"])
    show(result, as_json=as_json, text=text)


def _authority_fingerprint(home: Path) -> str:
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes

    certificate = x509.load_pem_x509_certificate((home / "authority.pem").read_bytes())
    return certificate.fingerprint(hashes.SHA256()).hex()


def _sign_again(home: Path, patience: float) -> tuple[list[str], list[str]]:
    """Sign the manifests that a partner had signed; names those that worked and those not."""
    manifests = sorted(home.glob("projects/*/manifest.json"))
    party = json.loads((home / "party.json").read_bytes())
    if party["role"] != "partner" or not manifests:
        return [], []
    from linkage.agent.agent import Agent
    from linkage.cli.manifest import load_manifest
    from linkage.rpc.party import Party

    signed, unsigned = [], []
    with Party.load(home).connect(patience=patience) as connection:
        for path in manifests:
            try:
                # It was read, and signed as it is, before.
                Agent(home).sign(connection, load_manifest(path), despite_unanswered=True)
                signed.append(path.parent.name)
            except LinkageError:
                unsigned.append(path.parent.name)
                continue
            # Whoever still waits for this partner's part of the secret gets it under the new keys.
            with suppress(LinkageError):
                Agent(home).share(connection, path.parent.name, again=True)
    return signed, unsigned
