"""Write the reference pages that are made from the code: commands, errors, manifest.

    python docs/generate_cli.py            write them
    python docs/generate_cli.py --check    fail if one is out of date

- The tree of commands, the exception tree and the manifest's models are the only sources; a page
  is never edited by hand.
- The same code gives the same bytes: no width of a terminal, home of a user or time is in them.
"""

from __future__ import annotations

import ast
import inspect
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import typer
from google.rpc import code_pb2
from pydantic import BaseModel
from pydantic_core import PydanticUndefined

from linkage import errors
from linkage.agreement import (
    audits,
    budgets,
    clk,
    content,
    content_profiles,
    disclosure,
    fields,
    governance,
    lookups,
    manifest,
    models,
    parties,
    policies,
    safeguards,
    scheme,
    transforms,
)
from linkage.cli.main import app
from linkage.errors import LinkageError
from linkage.rpc.status import code_of

REFERENCE = Path(__file__).parent / "reference"
NOTE = "<!-- Made by docs/generate_cli.py; do not edit. -->\n"


def cli_page() -> str:
    """Every command with its arguments and options."""
    root: Any = typer.main.get_command(app)
    lines = [
        NOTE,
        "# Commands\n",
        _text(root.help),
        "",
        _text(root.epilog),
        "",
        (
            "`--json` prints one JSON object, last, on standard output, also when a command fails."
            " Everything else that is said goes to standard error."
        ),
        "",
        "| variable | what it sets |",
        "|---|---|",
        "| `LINKAGE_HOME` | the home directory, in place of `--home` |",
        "| `LINKAGE_HUB` | `host:port` of the hub, in place of the one in the invitation |",
        (
            "| `LINKAGE_LOG` | log level on standard error: `debug`, `info`, `warning` (default),"
            " `error` |"
        ),
        "| `LINKAGE_DATABASE_URL` | the hub's database, in place of SQLite in its home |",
        "| `LINKAGE_BLOBS_URL` | the hub's blobs, in place of a directory in its home |",
        "",
    ]
    for path, command in _commands("linkage", root):
        if hasattr(command, "commands"):
            if path != "linkage":
                lines += [f"## {path}\n", _text(command.help), ""]
            continue
        level = "##" if path.count(" ") == 1 else "###"
        lines += [f"{level} {path}\n", _text(command.help), "", f"    {_usage(path, command)}", ""]
        lines += [_parameter(p) for p in command.params if p.name != "help"]
        lines.append("")
    return "\n".join(lines).rstrip() + "\n"


def errors_page() -> str:
    """Every error with its stable reason, exit code, gRPC code and meaning."""
    meaning = _tree_notes(inspect.getdoc(errors) or "")
    lines = [
        NOTE,
        "# Errors\n",
        (
            "Scripts may rely on the reason and on the exit code. With `--json` a failed command"
            ' prints `{"error": {"reason", "message", "remedy"}}`; for a partner\'s file also'
            " `problems`, each with `row`, `field` and `message`, and `total`. A message holds no"
            " identifier, no secret and no cell of a file."
        ),
        "",
        "| reason | exit code | gRPC code | class | meaning |",
        "|---|---|---|---|---|",
    ]
    for depth, cls in _classes(LinkageError, 0):
        code = code_pb2.Code.Name(code_of(cls.__new__(cls)))
        lines.append(
            f"| `{cls.reason}` | {cls.exit_code} | `{code}` | {'&nbsp;' * 2 * depth}{cls.__name__}"
            f" | {meaning.get(cls.__name__, '')} |"
        )
    lines += [
        "",
        (
            "An exception that is not in this tree ends a command with reason `INTERNAL` and exit"
            " code 70; the log names places in the code only, never the text of the exception."
        ),
    ]
    return "\n".join(lines) + "\n"


MODELS = (
    manifest.Manifest,
    governance.Governance,
    parties.Partner,
    content.ContentTable,
    content.ContentField,
    lookups.FieldLookup,
    lookups.PlaceList,
    lookups.CodeList,
    lookups.PopulationTable,
    parties.Recipient,
    parties.Stratum,
    parties.StewardKey,
    policies.Policy,
    policies.PolicyTag,
    fields.IdentifierField,
    fields.MatchKey,
    scheme.Minhash,
    scheme.Saul,
    clk.Clk,
    scheme.Matching,
    safeguards.Safeguards,
    audits.AuditPolicy,
    audits.AuditException,
    disclosure.Disclosure,
    disclosure.Coarser,
    disclosure.CountTable,
    disclosure.CheckerKey,
    budgets.Budgets,
    budgets.Budget,
    budgets.ProjectBudget,
)


def manifest_page() -> str:
    """Every setting of a manifest."""
    lines = [
        NOTE,
        "# The manifest\n",
        (
            "A JSON document of at most 1 MiB. An unknown setting is an error, and so is one given"
            " twice. What is signed is the canonical form (RFC 8785) with every default filled in,"
            " so two files that differ only in spaces, order or defaults left out have the same"
            " fingerprint. A worked example: [deploy/samples](../../deploy/samples/README.md)."
        ),
        "",
        "A *name* is 1 to 63 lower-case letters, digits, `-` and `_`, starting with a letter.",
        "",
    ]
    for model in MODELS:
        notes = _attribute_notes(model)
        lines += [f"## {model.__name__}\n", _first_paragraph(model), ""]
        lines += ["| setting | type | default | meaning |", "|---|---|---|---|"]
        for name, field in model.model_fields.items():
            lines.append(
                f"| `{name}` | {_type(model, name)} | {_default(field)}"
                f" | {_cell(notes.get(name, ''))} |"
            )
        lines.append("")
    enums = (
        audits.Verdict,
        fields.FieldType,
        content.Transform,
        lookups.KeyKind,
        safeguards.PartnerReport,
    )
    for enum in enums:
        lines += [f"## {enum.__name__}\n", _first_paragraph(enum), ""]
        lines += [", ".join(f"`{member.value}`" for member in enum), ""]
    return "\n".join(lines).rstrip() + "\n"


def content_page() -> str:
    """What content tables hold, and what their columns can mean."""
    lines = [
        NOTE,
        "# Content\n",
        (
            "What a partner contributes after a release: the tables and fields that the"
            " [manifest](manifest.md#contenttable) lists for it, and nothing else of its files."
        ),
        "",
        "## Transforms\n",
        "| transform | what leaves |",
        "|---|---|",
        *(f"| `{one}` | {_cell(text)} |" for one, text in transforms.MEANINGS.items()),
        "",
        (
            "A missing cell stays missing under all of them. One cell that does not fit stops the"
            " whole table; every problem is reported by row and column, without the cell. A cell of"
            " a field of open codes (`keep` or `crosswalk` without `values`) is searched for"
            " identifiers, also in disguise, and compared with those of the record that it is"
            " about."
        ),
        "",
        "## Lookups\n",
        (
            "A field with a [`lookup`](manifest.md#fieldlookup) is looked up first in a file on the"
            " agency's own machine, given as `--lookup NAME=FILE` to `linkage agent check` and"
            " `contribute`; what it has for the cell then goes through the transform. How many"
            " cells had no entry is told before anything leaves, and, unless they are few, in the"
            " extract's provenance."
        ),
        "",
        "| kind | the file holds | a cell without an entry | digest |",
        "|---|---|---|---|",
        *(f"| `{kind}` | {held} | {without} | {fixed} |" for kind, held, without, fixed in LOOKUPS),
        "",
        (
            "A list of places is at fault, by row and column, where a row has no key, where a GEOID"
            " has another length, and where two rows with the same key that is asked for are of"
            " different places. A file other than the one with the agreed digest is refused. What a"
            " list says is of the form agreed to, or it does not leave: in `within`, or one of"
            " `values`."
        ),
        "",
        (
            "The three-digit ZIP areas with 20,000 people or fewer that come with this software are"
            " those of the censuses of 2000 and 2010, all of them together. The figures of 2020 are"
            " not among them: no copy of them under a clear licence was at hand. The rule asks for"
            " current figures, so agree on a table of your own (`zip3`), made from the Census"
            " Bureau's figures for ZCTAs."
        ),
        "",
        "## Profiles\n",
        (
            "`profile` of a partner, or of one of its tables, says what the rows have to be. A"
            " manifest with a field that violates it is refused, and the message names the rule."
            " Under every profile, and under none, the column of a name, telephone number, e-mail"
            " address or national id leaves encoded only, that of an address as a larger area, and"
            " the numbers of records and persons not at all."
        ),
        "",
        "| profile | a field is refused that | rule |",
        "|---|---|---|",
        *(f"| `{profile}` | {text} | {rule} |" for profile, text, rule in PROFILE_RULES),
        "",
        (
            "Holding to a profile is necessary for what the law calls de-identified or a limited"
            " data set. That it suffices is for counsel to say: no program knows what somebody else"
            " knows of a person (45 CFR 164.514(b)(2)(ii))."
        ),
        "",
        "## Terms\n",
        (
            "A field that says in `means` which term of its table's kind it is can be found by"
            " reports, whatever it is called. A term stands at most once in a table, and fits the"
            " transforms named here. A cell of `race_ethnicity` may hold several of its `values`,"
            " joined by `|`; they leave in alphabetical order. Where a table has"
            " `race_ethnicity_standard`, the codes of each row must be an answer by it, UNKNOWN and"
            " DECLINED alone; a table without it may hold codes of another list."
        ),
        "",
    ]
    for kind, terms in models.MODELS.items():
        about = "" if kind not in models.IMPERSONAL else " (about no person; its rows bear no id)"
        lines += [f"### {kind}{about}\n", "| term | meaning | transforms |", "|---|---|---|"]
        for name, term in terms.items():
            fitting = ", ".join(f"`{transform}`" for transform in term.transforms)
            lines.append(f"| `{name}` | {_cell(term.meaning)} | {fitting} |")
        lines.append("")
    return "\n".join(lines).rstrip() + "\n"


LOOKUPS = (
    (
        "places",
        (
            "a column for each part of the key (`address`, `city`, `postcode`, `zip4`, `code`), and"
            " `tract`, `municipality`, `county` as fields need them; a county is also read from"
            " `tract`"
        ),
        (
            "may not leave, but for the share `unmatched` of the filled cells: these leave as"
            " missing"
        ),
        "needed, unless the key holds an address or a ZIP+4",
    ),
    (
        "crosswalk",
        "a [crosswalk](../how-to/crosswalk.md)",
        "leaves as `unmapped`, or the word that the field says",
        "needed",
    ),
    (
        "zip3",
        "`zip3` and `population`",
        "leaves as 000, as an area of 20,000 people or fewer does",
        "needed",
    ),
)

PROFILE_RULES = (
    (
        "safe-harbor",
        "means, or is the column of, a place smaller than a state, other than by `zip3`",
        "45 CFR 164.514(b)(2)(i)(B)",
    ),
    ("safe-harbor", "leaves by `month`", "(b)(2)(i)(C)"),
    (
        "safe-harbor",
        "leaves by `day`, where any table has years or months beside days and so tells their dates",
        "(b)(2)(i)(C)",
    ),
    (
        "safe-harbor",
        (
            "is the birth date, other than by `age_band`, or an age whose bands or top code end"
            " above 90"
        ),
        "(b)(2)(i)(C)",
    ),
    (
        "safe-harbor",
        "keeps codes, or standard ones, that the manifest does not list",
        "(b)(2)(i)(R)",
    ),
    (
        "limited-dataset",
        "is a direct identifier; dates, counties, municipalities, tracts and ZIP codes may leave",
        "45 CFR 164.514(e)(2)",
    ),
    (
        "aggregate-only",
        (
            "any recipient's extract would hold: `recipients` must be `[]`. Rows go to the"
            " assembler, for its tables alone"
        ),
        "the agreement itself",
    ),
)

PAGES = {
    "cli.md": cli_page,
    "errors.md": errors_page,
    "manifest.md": manifest_page,
    "content.md": content_page,
}


def main(arguments: list[str]) -> int:
    """Write the pages, or check them."""
    stale = []
    for name, make in PAGES.items():
        path, text = REFERENCE / name, make()
        if arguments == ["--check"]:
            if not path.exists() or path.read_text("utf-8") != text:
                stale.append(name)
        else:
            path.write_text(text, "utf-8")
    if stale:
        sys.stderr.write(f"out of date: {', '.join(stale)}; run: python docs/generate_cli.py\n")
    return 1 if stale else 0


def _commands(path: str, command: Any) -> Iterator[tuple[str, Any]]:
    yield path, command
    for name, child in getattr(command, "commands", {}).items():
        yield from _commands(f"{path} {name}", child)


def _usage(path: str, command: Any) -> str:
    words = [path]
    for parameter in command.params:
        if parameter.param_type_name == "argument":
            words.append(_metavar(parameter))
        elif parameter.required:
            words += [parameter.opts[0], _metavar(parameter)]
    return " ".join([*words, "[OPTIONS]"])


def _parameter(parameter: Any) -> str:
    argument = parameter.param_type_name == "argument"
    flag = not argument and parameter.is_flag
    value = _metavar(parameter)
    name = value if argument else f"{parameter.opts[0]}{'' if flag else f' {value}'}"
    notes = []
    if not argument and parameter.required:
        notes.append("required")
    if parameter.default not in (None, False, ()) and not callable(parameter.default):
        notes.append(f"default `{_portable(parameter.default)}`")
    if getattr(parameter, "envvar", None):
        notes.append(f"or `{parameter.envvar}`")
    return f"- `{name}` {_text(parameter.help)}" + (f" ({'; '.join(notes)})" if notes else "")


def _metavar(parameter: Any) -> str:
    return str(parameter.metavar or _type_name(parameter))


def _type_name(parameter: Any) -> str:
    annotation = str(parameter.type_descriptor.annotation)
    names = {"Path": "PATH", "int": "INTEGER", "float": "NUMBER"}
    return next((name for word, name in names.items() if word in annotation), "TEXT")


def _portable(value: object) -> str:
    return str(value).replace(str(Path.home()), "~")


def _text(help_text: str | None) -> str:
    return re.sub(r"(?<!\n)\n(?!\n)", " ", inspect.cleandoc(help_text or "")).strip()


def _classes(cls: type[LinkageError], depth: int) -> Iterator[tuple[int, type[LinkageError]]]:
    yield depth, cls
    for child in cls.__subclasses__():
        if child.__module__ == errors.__name__:
            yield from _classes(child, depth + 1)


def _tree_notes(doc: str) -> dict[str, str]:
    """Class -> what the drawing of the tree, or else the class itself, says of it."""
    found = {}
    for line in doc.splitlines():
        match = re.match(r"^[\s│├└─]*(\w+Error)\s{2,}(\S.*)$", line)
        if match:
            found[match[1]] = match[2].strip()
    for _, cls in _classes(LinkageError, 0):
        if cls.__name__ not in found:
            found[cls.__name__] = ERROR_NOTES.get(cls.__name__, "")
    return found


# What the drawing in linkage/errors.py leaves to the class's name.
ERROR_NOTES = {
    "LinkageError": "the base; never raised as such on purpose",
    "FingerprintMismatchError": "the hub's manifest is not the one this party has, or signed",
    "NotAgreedError": "a partner has not signed, or the manifest has expired",
    "UnauthenticatedError": "a certificate is missing, expired, or of another hub",
    "NotAuthorisedError": "this role may not call this method",
    "EnrolmentError": "the invitation is unknown, used, expired, or another party's",
    "UntrustedKeyError": "keys nobody compared, or keys that changed after comparison",
    "SignatureError": "a signature does not hold over exactly these bytes",
    "SealError": "sealed for another party or purpose, or altered on the way",
    "KeyCheckMismatchError": "the partners do not all hold the same project secret",
    "NotFoundError": "there is no such thing, or not for this party",
    "AlreadyExistsError": "it is there already and is not replaced",
    "NotReadyError": "another party has something to do first; try again later",
    "DigestMismatchError": "bytes are not the announced ones",
    "CancelledError": "the run was cancelled",
}


def _attribute_notes(model: type[BaseModel]) -> dict[str, str]:
    """Setting -> its text under `Attributes:`; `a, b: text` speaks of both."""
    section = (inspect.getdoc(model) or "").partition("Attributes:\n")[2]
    found: dict[str, str] = dict(SETTING_NOTES.get(model.__name__, {}))
    for entry in re.split(r"\n(?= {4}\S)", "\n" + section):
        names, colon, text = entry.strip().partition(": ")
        if colon:
            joined = " ".join(text.split())
            found |= {name.strip(): joined for name in names.split(",")}
    return found


# What the models' own texts leave to the setting's name.
SETTING_NOTES = {
    "Manifest": {
        "linkage": "says what kind of document this is",
        "project": "the project's name at the hub",
        "version": "counts the versions of one agreement; told to people, not compared",
        "title": "one line",
        "purpose": "what the linkage is for, as in the agreement",
        "legal_basis": "the agreement or law it rests on",
        "expires": "last day (UTC) on which the hub takes uploads, runs and releases",
        "retention_days": "agreed, signed and shown; nothing deletes by it in this version",
        "partners": "who has a file; the first one makes the project secret",
        "recipients": "who receives; exactly one has the role `assembler`",
        "fields": "the identifiers that match keys are made of",
        "match_keys": "what is encoded",
        "strata": "codes by which the quality report may be broken down",
        "scheme": "how it is encoded",
        "matching": "how the hub matches",
        "governance": "the four questions, answered; an agent does not sign while one is open",
        "min_rows": "people that a file must hold; a file of fewer is a probe. An alias or a second"
        " row of one person adds nobody",
        "max_rows": "a longer file is refused",
        "policy_tags": "further tags that `policies` may name",
        "safeguards": "bounds against a partner that probes",
        "audit": "what the risk audit of each partner's encodings must show before they leave",
        "disclosure": "the disclosure gate: what every extract and table of counts must be",
        "budgets": "how much may be done at the hub in a minute and in a day",
        "stewards": "who may confirm releases, with their keys",
        "two_stewards": "a release needs two different stewards' signatures before any partner is"
        " asked to approve it",
    },
    "Partner": {"name": "as enrolled at the hub", "title": "for people"},
    "ContentTable": {"name": "the table's name", "fields": "all that leaves; nothing else does"},
    "ContentField": {
        "name": "the column's name in the extract",
        "transform": "how it is coarsened",
        "date_format": "strptime format of the column, for transforms of dates",
        "description": "goes into the data dictionary",
    },
    "Recipient": {"name": "as enrolled at the hub", "title": "for people"},
    "StewardKey": {"title": "for people"},
    "CheckerKey": {"title": "for people"},
    "Stratum": {"name": "the stratum's name"},
    "MatchKey": {
        "name": "the match key's name",
        "fields": "at most 6, and all must be there in a record; with a linkage schema as many as"
        " it encodes, some of which may be missing",
    },
    "Minhash": {"name": "the scheme's name"},
    "Saul": {"name": "the scheme's name"},
    "Clk": {"name": "the scheme's name"},
}


def _first_paragraph(thing: type) -> str:
    return " ".join((inspect.getdoc(thing) or "").partition("\n\n")[0].split()).removesuffix(
        " See the module's text for the invariants."
    )


def _default(field: Any) -> str:
    if field.is_required():
        return "required"
    value = field.default
    if field.default_factory_takes_validated_data:
        return "depends"
    if value is PydanticUndefined:
        value = field.default_factory()
    if isinstance(value, BaseModel):
        return "all defaults"
    if value is None:
        return "none"
    return f"`{_plain(value)}`"


def _plain(value: object) -> str:
    text = {True: "true", False: "false"}.get(value) if isinstance(value, bool) else None
    if value in ({}, ()):
        text = "{}" if value == {} else "[]"
    if isinstance(value, str):
        text = str(value) or '""'
    return text if text is not None else str(value)


def _type(model: type[BaseModel], name: str) -> str:
    """The type as the source writes it, without what only Python needs."""
    source = inspect.getsource(model)
    tree = ast.parse(source).body[0]
    assert isinstance(tree, ast.ClassDef)  # noqa: S101 - narrowing for the type checker
    for node in tree.body:
        if isinstance(node, ast.AnnAssign) and ast.unparse(node.target) == name:
            return _cell(_words(node.annotation))
    return ""


_WORDS = {
    "Any": "JSON",
    "Share": "number, 0 to 1",
    "Reason": "text, 1 to 500 characters",
    "Name": "name",
    "Qualified": "text, `PARTNER_TABLE.COLUMN`",
    "TableName": "text, `PARTNER_TABLE` or `people`",
    "Text": "text, 1 to 4,000 characters",
    "Column": "text, 1 to 200 characters",
    "CodeText": "text, 1 to 63 characters of a code",
    "str": "text",
    "bool": "true or false",
    "int": "whole number",
    "float": "number",
    "date": "date, YYYY-MM-DD",
    "Scheme": "[Saul](#saul), [Minhash](#minhash) or [Clk](#clk)",
    **{model.__name__: f"[{model.__name__}](#{model.__name__.lower()})" for model in MODELS},
    "FieldType": "[FieldType](#fieldtype)",
    "PartnerReport": "[PartnerReport](#partnerreport)",
    "Lookup": "[PlaceList](#placelist), [CodeList](#codelist) or"
    " [PopulationTable](#populationtable)",
    "KeyKind": "[KeyKind](#keykind)",
    "Digest": "text, 64 hex digits",
    "Word": "text, 1 to 31 letters, `-` and `_`",
    "Geoid": "text, two or five digits",
    "Policies": "list of: [Policy](#policy), at most 20 of them",
    "Tag": "text, 2 to 40 capital letters, digits, `.` and `-`",
    "Line": "text, 1 to 500 characters",
    "Answer": "text, at most 4,000 characters",
    "PublicKey": "text, 64 hex digits",
    "Count": "whole number, 1 to 1,000,000",
    "Bytes": "whole number, 1 to 2^50",
    "People": "whole number, 0 to 1,000,000",
    "Transform": "[Transform](#transform)",
    "ContentProfile": " or ".join(f"`{one}`" for one in content_profiles.ContentProfile),
    "Kind": " or ".join(f"`{kind}`" for kind in models.MODELS),
}


def _words(node: ast.expr) -> str:
    if isinstance(node, ast.BinOp):
        return _words(node.left)
    if isinstance(node, ast.Name):
        return _WORDS[node.id]
    assert isinstance(node, ast.Subscript)  # noqa: S101 - narrowing for the type checker
    kind = ast.unparse(node.value)
    inner = node.slice.elts if isinstance(node.slice, ast.Tuple) else [node.slice]
    if kind == "Literal":
        return " or ".join(f"`{ast.literal_eval(item)}`" for item in inner)
    if kind == "tuple":
        any_number = isinstance(inner[-1], ast.Constant)
        return f"{'list' if any_number else 'two'} of: {_words(inner[0])}"
    if kind == "dict":
        return f"object: {_words(inner[0])} → {_words(inner[1])}"
    bounds = [_bounds(item) for item in inner[1:]]
    return ", ".join([_words(inner[0]), *(text for text in bounds if text)])


def _bounds(node: ast.expr) -> str:
    if not isinstance(node, ast.Call):
        return ""
    given = {k.arg: ast.literal_eval(k.value) for k in node.keywords if k.arg != "pattern"}
    low = given.get("ge", given.get("min_length"))
    high = given.get("le", given.get("max_length"))
    unit = "" if "le" in given or "ge" in given else " characters"
    if ast.unparse(node.func) == "Field" and ("max_length" in given or "min_length" in given):
        unit = " of them"
    if low is not None and high is not None:
        return f"{low:,} to {high:,}{unit}"
    if high is not None:
        return f"at most {high:,}{unit}"
    return "two capital letters" if any(k.arg == "pattern" for k in node.keywords) else ""


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
