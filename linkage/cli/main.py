"""`linkage`: the entry point, and the one place where errors become exit codes."""

from __future__ import annotations

import sys

import typer

from linkage import __version__
from linkage.cli import agent, crosswalk, demo, evaluator, hub, keys, log, manifest, rehearse
from linkage.cli.common import configure_logging, errors, fail
from linkage.errors import InputError, InternalError, LinkageError

app = typer.Typer(
    name="linkage",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help=(
        "Privacy-preserving record linkage between agencies that may not share client lists.\n\n"
        "A partner's agent encodes identifiers on its own machine; the hub matches encodings it"
        " cannot reverse; the evaluator receives a linked, de-identified extract."
    ),
    epilog=(
        "Exit codes: 0 done; 2 wrong input; 3 not covered by the agreement; 4 keys, certificates"
        " or signatures; 5 wrong moment; 6 over a limit; 7 hub unreachable; 8 a file has"
        " errors, but its other records may be sent; 9 its encodings fail the risk audit; 10 an"
        " audit was too weak; 70 a fault of ours."
    ),
)
app.add_typer(agent.app, name="agent")
app.add_typer(hub.app, name="hub")
app.add_typer(evaluator.app, name="evaluator")
app.add_typer(manifest.app, name="manifest")
app.add_typer(crosswalk.app, name="crosswalk")
app.add_typer(keys.app, name="keys")
app.add_typer(log.app, name="log")
app.command("rehearse")(rehearse.rehearse)
app.command("demo")(demo.demo)


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"linkage {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: bool = typer.Option(
        False, "--version", callback=_version, is_eager=True, help="Print the version."
    ),
) -> None:
    del version


def main() -> None:
    """Run a command; a `LinkageError` ends it with its own exit code and no traceback."""
    configure_logging()
    as_json = "--json" in sys.argv
    try:
        app(standalone_mode=True)
    except LinkageError as error:
        fail(error, as_json=as_json)
    except ModuleNotFoundError as error:
        missing = InputError(
            f"this command needs {error.name}, which is not installed",
            remedy="Install everything a hub needs: requirements/hub.txt, or linkage[hub]",
        )
        fail(missing, as_json=as_json)
    except OSError as error:
        # What the system says of a file that was named, or that lies in the home.
        what = f"{error.filename or 'input or output'}: {error.strerror or 'failed'}"
        fail(InputError(what, remedy="Check the path and its permissions"), as_json=as_json)
    except KeyboardInterrupt:
        errors.print("interrupted; what was finished is kept, run the same command to go on")
        sys.exit(130)
    except Exception as error:
        # The text of a foreign exception may quote what it choked on: places only.
        import structlog

        structlog.get_logger().error("internal error", error=type(error).__name__, exc_info=error)
        fail(
            InternalError("linkage failed on its side", remedy="The places are in the log above"),
            as_json=as_json,
        )
