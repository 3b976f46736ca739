"""Options and files that the commands of `linkage crosswalk` share."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from linkage.errors import AlreadyExistsError, DigestMismatchError, InputError
from linkage.files import read_bounded

if TYPE_CHECKING:
    from linkage.release.crosswalk.documents import Crosswalk, Inventory, StandardList

LEAST_DIGEST = 8

CrosswalkOption = Annotated[
    Path | None, typer.Option("--crosswalk", metavar="FILE", help="The crosswalk.")
]
CrosswalkArgument = Annotated[Path, typer.Argument(metavar="CROSSWALK", help="The crosswalk.")]
ListOption = Annotated[
    str | None,
    typer.Option(
        "--list",
        metavar="LIST",
        help="The list of standard codes: a file, or the bundled one's name, crisis.",
    ),
]
OverwriteOption = Annotated[bool, typer.Option("--overwrite", help="Replace a file that is there.")]


def load_crosswalk(path: Path, codes: StandardList | None = None, *, digest: str = "") -> Crosswalk:
    """Read a crosswalk and refuse an unsound one.

    Args:
        digest: the beginning of the digest that it must have, at least 8 digits; "" for any.

    Raises:
        InputError, SourceError, LimitError: names the file and every wrong entry.
        DigestMismatchError: it is another one.
    """
    from linkage.release.crosswalk.checking import parse_crosswalk
    from linkage.release.crosswalk.documents import MAX_BYTES

    found = parse_crosswalk(read_bounded(path, MAX_BYTES), source=path.name, codes=codes)
    if digest and len(digest) < LEAST_DIGEST:
        raise InputError(f"a digest needs at least {LEAST_DIGEST} of its digits")
    if not found.digest.startswith(digest.casefold()):
        raise DigestMismatchError(
            f"{path.name} has the digest {found.digest[:16]}, not the one that was asked for",
            remedy="Get the version that was agreed on",
        )
    return found


def load_list(name: str | None, crosswalk: Crosswalk | None = None) -> StandardList:
    """A list from its file, or a bundled one by name.

    Args:
        crosswalk: whose list it must be, where `name` is None: then only a bundled one is found.

    Raises:
        InputError, SourceError, LimitError: there is no such list, or it is unsound.
    """
    from linkage.release.crosswalk.checking import parse_list
    from linkage.release.crosswalk.documents import MAX_BYTES
    from linkage.release.crosswalk.lists import BUNDLED, bundled_list

    if name is None:
        wanted = crosswalk.codes.name if crosswalk else BUNDLED[0]
        if wanted not in BUNDLED:
            raise InputError(
                f"the crosswalk is for the list {wanted!r}, which is not bundled",
                remedy="Give its file with --list",
            )
        found = bundled_list(wanted)
        if crosswalk is not None and crosswalk.codes != found.reference:
            raise InputError(
                f"the crosswalk is for version {crosswalk.codes.version} of the list {wanted!r}"
                f" ({crosswalk.codes.digest[:16]}); bundled is {found.version}"
                f" ({found.digest[:16]})",
                remedy=f"Give its own file with --list, or move over with --list {wanted}",
            )
        return found
    if name in BUNDLED and not Path(name).exists():
        return bundled_list(name)
    path = Path(name)
    if path.suffix.casefold() == ".csv":
        raise InputError(
            f"{name} is a table, not a list with a name and a version",
            remedy="Make one of it: linkage crosswalk list",
        )
    return parse_list(read_bounded(path, MAX_BYTES), source=path.name)


def load_inventories(paths: Sequence[Path]) -> dict[str, Inventory]:
    """Inventories by the name of their file, all faults of all files at once.

    Raises:
        InputError: names every file and entry that is wrong.
    """
    from linkage.release.crosswalk.checking import parse_inventory
    from linkage.release.crosswalk.documents import MAX_AGENCIES, MAX_BYTES

    if len(paths) > MAX_AGENCIES:
        raise InputError(f"more than {MAX_AGENCIES} inventories")
    found: dict[str, Inventory] = {}
    faults = []
    for path in paths:
        name = path.name if path.name not in found else str(path)
        try:
            found[name] = parse_inventory(read_bounded(path, MAX_BYTES), source=name)
        except InputError as error:
            faults.append(error.message)
    if faults:
        raise InputError("\n".join(faults))
    return found


def require_new(path: Path, overwrite: bool) -> None:
    """Raises AlreadyExistsError if a file would be replaced unasked."""
    if path.exists() and not overwrite:
        raise AlreadyExistsError(
            f"{path} is there already", remedy="Name a new file, or give --overwrite"
        )
