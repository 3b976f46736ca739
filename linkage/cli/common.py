"""What all commands share: homes, output, progress, logs, and errors turned into exit codes.

- Results go to standard output, everything else to standard error.
- With --json a command prints one JSON object, last, also when it fails.
- No command takes a secret as an argument, only the URI of a place where it is.
"""

from __future__ import annotations

import json
import logging
import os
import sys
import time
from collections.abc import Callable, Mapping, MutableMapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn, TypeVar

import structlog
import typer
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

from linkage.errors import InputError, LinkageError, NotReadyError, SourceError

if TYPE_CHECKING:
    from linkage.agreement import Manifest

T = TypeVar("T")
WAIT_PAUSE = 0.5

errors = Console(stderr=True, highlight=False, soft_wrap=True)
output = Console(highlight=False, soft_wrap=True)

HomeOption = Annotated[
    Path,
    typer.Option(
        "--home",
        envvar="LINKAGE_HOME",
        help="Directory with this party's keys and state; readable by its owner alone.",
        show_default=True,
    ),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON object, for scripts.")]
WaitOption = Annotated[
    float,
    typer.Option(
        "--wait",
        metavar="SECONDS",
        help="Keep asking this long for what other parties have yet to do.",
        min=0,
    ),
]
PatienceOption = Annotated[
    float,
    typer.Option(
        "--patience",
        metavar="SECONDS",
        help="Keep trying this long while the hub cannot be reached.",
        min=0,
    ),
]


def _remember(uri: str | None) -> str | None:
    """Let everything in this process find the passphrase under the URI that was given."""
    from linkage.trust.secrets import URI_VARIABLE, require_uri

    if uri:
        os.environ[URI_VARIABLE] = require_uri(uri)
    return uri


PassphraseOption = Annotated[
    str | None,
    typer.Option(
        "--passphrase",
        metavar="URI",
        envvar="LINKAGE_PASSPHRASE_URI",
        callback=_remember,
        help=(
            "Where the passphrase of the home's keys is: file:PATH, env:NAME, fd:NUMBER or"
            " keyring:SERVICE/NAME. Never the passphrase itself."
        ),
    ),
]


def default_home(role: str) -> Path:
    return Path("~/.linkage").expanduser() / role


def configure_logging() -> None:
    """JSON lines on standard error; `LINKAGE_LOG` sets the level (default warning)."""
    level = os.environ.get("LINKAGE_LOG", "warning").upper()
    number = logging.getLevelNamesMapping().get(level, logging.WARNING)
    logging.basicConfig(level=logging.WARNING, stream=sys.stderr, format="%(message)s")
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            _without_values,
            structlog.processors.JSONRenderer(),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(number),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
    )


def _without_values(
    _logger: Any, _method: str, event: MutableMapping[str, Any]
) -> Mapping[str, Any]:
    """Where a traceback goes into the log, its messages and values stay out: only places."""
    error = event.pop("exc_info", None)
    if isinstance(error, BaseException):
        places, trace = [], error.__traceback__
        while trace is not None:
            code = trace.tb_frame.f_code
            places.append(f"{Path(code.co_filename).name}:{trace.tb_lineno} {code.co_name}")
            trace = trace.tb_next
        event["places"] = places
    return event


def show(result: dict[str, Any], *, as_json: bool, text: str) -> None:
    """Print a result: as one JSON object, or as text for a person."""
    if as_json:
        sys.stdout.write(json.dumps(result, sort_keys=True) + "\n")
        sys.stdout.flush()
    else:
        output.print(text, markup=False)


def fail(error: LinkageError, *, as_json: bool) -> NoReturn:
    """Say what went wrong, and leave with the error's exit code."""
    if as_json:
        fields: dict[str, Any] = {"reason": error.reason, "message": error.message}
        if error.remedy:
            fields["remedy"] = error.remedy
        if isinstance(error, SourceError):
            fields["total"] = error.total
            fields["problems"] = [vars(problem) for problem in error.problems[:1000]]
        sys.stdout.write(json.dumps({"error": fields}, sort_keys=True) + "\n")
    errors.print(f"[bold red]error[/] ({error.reason})", end=" ")
    errors.print(error.message, markup=False)
    if error.remedy:
        errors.print(f"  {error.remedy}", markup=False)
    sys.exit(error.exit_code)


def patiently(act: Callable[[], T], wait: float) -> T:
    """Repeat an act while it says that others are not ready, for at most `wait` seconds.

    What is waited for is said once, on standard error.
    """
    give_up = time.monotonic() + wait
    told = ""
    while True:
        try:
            return act()
        except NotReadyError as error:
            if time.monotonic() >= give_up:
                raise
            if error.message != told:
                told = error.message
                errors.print(f"waiting: {told}", markup=False)
            time.sleep(WAIT_PAUSE)


def assignments(values: list[str], option: str) -> dict[str, Path]:
    """NAME=FILE options as a mapping.

    Raises:
        InputError: malformed, given twice, or no such file.
    """
    found: dict[str, Path] = {}
    for value in values:
        name, equals, file = value.partition("=")
        if not equals or not name or not file:
            raise InputError(f"{option} {value!r} is not of the form NAME=FILE")
        if name in found:
            raise InputError(f"{option} names {name!r} twice")
        path = Path(file)
        if not path.is_file():
            raise InputError(f"{option} {name}: there is no file {file}")
        found[name] = path
    return found


class Bar:
    """A progress bar on standard error: one line per step; silent where nobody watches."""

    def __init__(self) -> None:
        self._progress = Progress(
            TextColumn("{task.description:<16}"),
            BarColumn(),
            TaskProgressColumn(),
            TimeRemainingColumn(),
            console=errors,
            disable=not errors.is_terminal,
        )
        self._tasks: dict[str, Any] = {}

    def __enter__(self) -> Bar:
        self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._progress.stop()

    def __call__(self, step: str, done: int, total: int) -> None:
        if step not in self._tasks:
            self._tasks[step] = self._progress.add_task(step, total=total or None)
        self._progress.update(self._tasks[step], completed=done, total=total or None)


def say_warnings(manifest: Manifest) -> None:
    for text in (*manifest.warnings, *manifest.foreseen):
        errors.print(f"[yellow]warning[/] {escape(text)}")


def say_unanswered(manifest: Manifest) -> None:
    if manifest.unanswered:
        errors.print("[bold red]NOT ANSWERED[/]", end=" ")
        errors.print(escape(" ".join(manifest.unanswered)))


def audit_lines(audits: Mapping[str, Any]) -> list[str]:
    """What partners say of the audits of their encodings, one line each.

    Args:
        audits: by partner the fields of an `AuditSummary`, validated.
    """
    from linkage.agreement.audits import SAID, Verdict

    lines = []
    for partner, said in audits.items():
        what = f"{SAID[Verdict(said['verdict'])]}; {said['rows']} records attacked"
        if said["rows"] and said["skipped"]:
            what += f", {said['skipped']} match keys not"
        lines.append(f"  audit of {partner}: {said['verdict']} ({what})")
    return lines


def connect_member(home: Path, patience: float) -> Any:
    """An open connection of a partner or recipient; see `linkage.rpc.member.connect_member`."""
    from linkage.rpc.member import connect_member

    def warn(text: str) -> None:
        errors.print(f"[yellow]warning[/] {escape(text)}")

    return connect_member(home, patience=patience, waiting=say_waiting, warn=warn)


def connect_steward(home: Path, patience: float) -> Any:
    """An open connection as a steward, whose certificate is renewed on the way.

    On the hub's own machine one that has run out is made anew, for which its keys are unlocked.
    """
    from linkage.rpc.party import Party

    steward = Party.load(home / "steward")
    if steward.expired and (home / "authority.key").exists():
        from linkage.hub.home import HubHome

        steward = HubHome.load(home).certify_steward()
    return steward.connect(patience=patience, waiting=say_waiting)


def say_waiting(seconds: float) -> None:
    errors.print(f"the hub cannot be reached; trying again in {seconds:.1f} s", style="yellow")
