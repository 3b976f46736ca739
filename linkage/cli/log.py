"""`linkage log`: check, read and export the hub's transparency log, as any party."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from linkage.cli.common import (
    JsonOption,
    PatienceOption,
    connect_member,
    connect_steward,
    default_home,
    errors,
    show,
)
from linkage.errors import InputError, LogInconsistentError

if TYPE_CHECKING:
    from linkage.rpc.channel import Connection
    from linkage.rpc.logfile import Leaf
    from linkage.rpc.witness import Witness

PATIENCE = 30.0
ROLES = ("agent", "evaluator", "hub")
OLD_SECONDS = 7 * 86_400

app = typer.Typer(
    no_args_is_help=True,
    help=(
        "Check the hub's transparency log instead of believing the hub.\n\n"
        "Every act of the hub, its steward and the parties is a leaf of a Merkle tree that can only"
        " grow. Every command that connects checks that it did; these check all of it, show"
        " what is in it, and write it to a file that an outsider can check.\n\n"
        "Any party's home will do: a partner's, a recipient's, or the hub's own."
    ),
)

AnyHomeOption = Annotated[
    Path | None,
    typer.Option(
        "--home",
        envvar="LINKAGE_HOME",
        help="A party's home, or the hub's; default: the one that is there below ~/.linkage.",
    ),
]


@app.command()
def verify(
    export: Annotated[
        Path | None,
        typer.Argument(metavar="[EXPORT]", help="An export or a receipt to check, without a hub."),
    ] = None,
    key: Annotated[
        str | None,
        typer.Option("--key", help="The log's public key, one line; default: the home's."),
    ] = None,
    quick: Annotated[
        bool,
        typer.Option("--quick", help="Only what every command checks: do not fetch all leaves."),
    ] = False,
    home: AnyHomeOption = None,
    patience: PatienceOption = PATIENCE,
    as_json: JsonOption = False,
) -> None:
    """Check the log, all of it; or, given a file, an export or a receipt.

    With the hub: that the log goes on from what this party saw before; that the other parties,
    whose keys you compared, saw the same log; that all leaves make the signed tree; that what the
    hub says of a leaf is what it committed to; and that every receipt kept here is in it.

    With a file: the same of what it holds, under the key of --key or of your home. Without either
    the key in the file itself is taken, which the result says: compare it with the steward's.

    Exit codes: 0 it holds; 4 it does not (LOG_INCONSISTENT), and the evidence is in the home's
    log/evidence, signed by the hub; 7 the hub cannot be reached.
    """
    if export is not None:
        result = _verify_file(export, key, _find_home(home))
        show(result, as_json=as_json, text=_file_text(result))
        return
    with _connected(home, patience) as (connection, witness, heads):
        result = {**_state(witness), "heads": heads, "receipts": 0}
        if not quick:
            result |= _verify_all(connection, witness)
    lines = [
        f"{result['log']}: {result['size']} entries, root {result['root']}",
        "it goes on from what was seen before",
    ]
    if not quick:
        lines[1] += ", and all of its leaves make the signed tree"
        lines.append(f"{result['opened']} of them are shown to this party, as they were committed")
        lines.append(f"{result['receipts']} receipts kept here are in it")
    show(result, as_json=as_json, text="\n".join([*lines, *_head_lines(heads)]))


@app.command("show")
def show_entries(
    project: Annotated[
        str | None, typer.Option("--project", help="Only entries of this project.")
    ] = None,
    kind: Annotated[
        str | None, typer.Option("--kind", help="Only entries of this kind, or run.* for a group.")
    ] = None,
    limit: Annotated[int, typer.Option("--limit", min=1, help="The newest so many.")] = 20,
    home: AnyHomeOption = None,
    patience: PatienceOption = PATIENCE,
    as_json: JsonOption = False,
) -> None:
    """Show the log's checkpoint, who else has seen it, and the newest entries you may read.

    A partner or recipient reads the entries of its projects and its own acts; the steward all of
    them. The line of the checkpoint is what two parties may compare by telephone.
    """
    with _connected(home, patience) as (connection, witness, heads):
        state = _state(witness)
        found = _newest(connection, state["size"], project, kind, limit)
    lines = [f"{state['log']}: {state['size']} entries, root {state['root']}"]
    lines += [*_head_lines(heads), ""]
    for one in found:
        about = " ".join(
            [one["subject"], *(f"{name}={value}" for name, value in one["details"].items())]
        )
        when = datetime.fromtimestamp(one["time"], UTC).strftime("%Y-%m-%d %H:%M:%S")
        who = one["party"] or "unknown"
        lines.append(f"{one['index']:>6}  {when}  {one['kind']:<22} {who:<20} {about}".rstrip())
    result = {**state, "heads": heads, "entries": found}
    show(result, as_json=as_json, text="\n".join(lines))


@app.command()
def export(
    out: Annotated[Path, typer.Argument(metavar="OUT", help="File to write, lines of JSON.")],
    home: AnyHomeOption = None,
    patience: PatienceOption = PATIENCE,
    as_json: JsonOption = False,
) -> None:
    """Write the whole log to a file that anybody can check without the hub.

    It holds the log's public key, a signed checkpoint, every leaf, and what this party may know
    of them: hand it on with the care that this deserves. It is checked while it is written.
    """
    from linkage.rpc.logfile import fetch, write_export

    if out.exists():
        raise InputError(f"{out} is there already", remedy="Name a new file")
    with _connected(home, patience) as (connection, witness, _):
        checkpoint = witness.last
        if checkpoint is None:
            raise LogInconsistentError("the hub showed no checkpoint")
        write_export(out, witness.verifier, checkpoint, fetch(connection, checkpoint.size))
        state = _state(witness)
    text = f"wrote {state['size']} entries to {out}\nnext: linkage log verify {out}"
    show({"file": str(out), **state}, as_json=as_json, text=text)


def _find_home(home: Path | None) -> Path | None:
    if home is not None:
        return home
    homes = [default_home(role) for role in ROLES]
    there = [one for one in homes if (one / "party.json").exists() or (one / "hub.json").exists()]
    return there[0] if len(there) == 1 else None


@contextmanager
def _connected(
    home: Path | None, patience: float
) -> Iterator[tuple[Connection, Witness, list[dict[str, Any]]]]:
    """A connection, what is remembered of the log, and the heads of others."""
    from linkage.rpc.gossip import heads_seen
    from linkage.rpc.witness import Witness

    found = _find_home(home)
    if found is None:
        raise InputError(
            "which party are you", remedy="Name its home: --home ~/.linkage/agent, or another"
        )
    if (found / "hub.json").exists():
        with connect_steward(found, patience) as connection:
            yield connection, Witness(found / "steward"), []
        return
    with connect_member(found, patience) as connection:
        witness = Witness(found)
        heads = [vars(one) for one in heads_seen(witness).values()]
        yield connection, witness, sorted(heads, key=lambda one: str(one["party"]))


def _state(witness: Witness) -> dict[str, Any]:
    last = witness.last
    if last is None:
        raise LogInconsistentError("the hub showed no checkpoint")
    return {"log": witness.verifier.name, "key": witness.verifier.line, **_named(last)}


def _named(checkpoint: Any) -> dict[str, Any]:
    return {"size": checkpoint.size, "root": checkpoint.root.hex()}


def _verify_all(connection: Connection, witness: Witness) -> dict[str, Any]:
    from linkage.rpc.logfile import fetch, read_receipt, verified

    last = witness.last
    if last is None:
        raise LogInconsistentError("the hub showed no checkpoint")
    kept = {}
    for path in sorted((witness.directory / "receipts").glob("*.json")):
        _, place, committed, _ = read_receipt(path)
        kept[place] = committed
    opened = receipts = 0
    try:
        for leaf, entry in verified(fetch(connection, last.size), last):
            opened += entry is not None
            if leaf.index in kept:
                if kept[leaf.index] != leaf.leaf:
                    raise LogInconsistentError(f"the receipt of leaf {leaf.index} is not in it")
                receipts += 1
    except LogInconsistentError as error:
        raise witness.refuse(error, last.note, "the leaves") from None
    if receipts != len(kept):
        raise LogInconsistentError("a receipt that is kept here is not in the log")
    return {"opened": opened, "receipts": receipts}


def _newest(
    connection: Connection, size: int, project: str | None, kind: str | None, limit: int
) -> list[dict[str, Any]]:
    """Entries from the end backwards, a page at a time, until there are enough."""
    from linkage.rpc.logfile import fetch

    def wanted(leaf: Leaf) -> dict[str, Any] | None:
        entry = leaf.entry
        if entry is None or project not in (None, entry.project):
            return None
        group = kind is not None and kind.endswith("*") and entry.kind.startswith(kind[:-1])
        if not group and kind not in (None, entry.kind):
            return None
        return {"index": leaf.index, **entry.model_dump(exclude={"linkage"})}

    found: list[dict[str, Any]] = []
    end = size
    while end and len(found) < limit:
        start = max(0, end - 500)
        page = [one for one in map(wanted, fetch(connection, end, start)) if one is not None]
        found = page + found
        end = start
    return found[-limit:]


def _verify_file(path: Path, key: str | None, home: Path | None) -> dict[str, Any]:
    from linkage.rpc.logfile import read_export, read_receipt, verified
    from linkage.rpc.witness import LOG_KEY
    from linkage.trust.checkpoint import LogVerifier

    pinned = None if key is None else LogVerifier.parse(key)
    if pinned is None and home is not None and (home / LOG_KEY).exists():
        pinned = LogVerifier.parse((home / LOG_KEY).read_text())
    result: dict[str, Any]
    try:
        verifier, index, _, entry = read_receipt(path)
        result = {"receipt": index, **entry.model_dump(exclude={"linkage"})}
    except InputError:
        verifier, checkpoint, leaves = read_export(path)
        opened = sum(entry is not None for _, entry in verified(leaves, checkpoint))
        result = {"opened": opened, **_named(checkpoint)}
    if pinned is not None and pinned != verifier:
        raise LogInconsistentError("the file is of another log than the one whose key you have")
    return {"log": verifier.name, "key": verifier.line, "pinned": pinned is not None, **result}


def _file_text(result: dict[str, Any]) -> str:
    if "receipt" in result:
        what = f"leaf {result['receipt']} of {result['log']}: {result['kind']} by {result['party']}"
    else:
        what = f"{result['log']}: {result['size']} entries, root {result['root']}"
        what += f"\n{result['opened']} of them are opened, as they were committed"
    if not result["pinned"]:
        errors.print("[yellow]warning[/] the key is the file's own; compare it with the steward's")
        what += f"\nsigned by {result['key']}"
    return what


def _head_lines(heads: list[dict[str, Any]]) -> list[str]:
    now, lines = datetime.now(UTC).timestamp(), []
    for head in heads:
        when = datetime.fromtimestamp(head["time"], UTC).strftime("%Y-%m-%d %H:%M UTC")
        old = " - long ago: ask it whether it still works with this hub"
        lines.append(
            f"{head['party']} saw the same log of {head['size']} entries at {when}"
            + (old if now - head["time"] > OLD_SECONDS else "")
        )
    return lines
