"""The entire protocol on given files: a hub and agents as processes of their own, on loopback.

    with Rehearsal(manifest, files, directory) as rehearsal:
        result = rehearsal.run()

- Everything happens in one directory: homes, logs, the extract, the reports.
- The truth column is read here, after the run, and never by an agent or the hub.
- Comparing fingerprints, which people do by telephone, is done here by reading each agent's own.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from linkage.agent.source import SourceFile
from linkage.agreement import Manifest
from linkage.cli.processes import LINKAGE, Processes
from linkage.cli.reporting import draw, score
from linkage.errors import InputError
from linkage.files import private_directory, write_atomic

PartnerTable = tuple[str, str]
Say = Callable[[str], None]
WAIT = ("--wait", "300")


class Rehearsal:
    """One rehearsal.

    Args:
        files: identifier file per partner.
        content: content file per (partner, table).
        lookups: lookup file per (partner, lookup).
        directory: where everything goes; empty or new.
        truth: column of the identifier files that says who is who, or None.
        crosswalk: gives standard codes to the central log; None leaves local codes.
        tracts: the public table of census tracts, for access scores; None leaves them out.
        planted: what is known to be true beside who is who: fields of `evaluator.reports.Known`.
        hub_command: starts the hub process; tests put a listening one in its place.
        environment: variables for all processes.

    Raises:
        InputError: files and partners do not fit together.
    """

    def __init__(
        self,
        manifest: Manifest,
        files: Mapping[str, Path],
        directory: Path,
        *,
        content: Mapping[tuple[str, str], Path] | None = None,
        lookups: Mapping[tuple[str, str], Path] | None = None,
        truth: str | None = None,
        crosswalk: Path | None = None,
        tracts: Path | None = None,
        planted: Mapping[str, Any] | None = None,
        say: Say = lambda line: None,
        hub_command: Sequence[str] = (*LINKAGE, "hub"),
        environment: Mapping[str, str] | None = None,
    ) -> None:
        _require_files(manifest, files, content or {}, truth)
        self._manifest = manifest
        self._files = dict(files)
        self._given = {"--content": dict(content or {}), "--lookup": dict(lookups or {})}
        self._truth = truth
        self._tracts = tracts
        self._crosswalk = crosswalk
        self._planted = dict(planted or {})
        self._say = say
        self._scored: dict[str, Any] | None = None
        self._hub_command = list(hub_command)
        self.directory = private_directory(directory.absolute())
        self._partners = manifest.partner_names
        self._members = [*self._partners, manifest.assembler]
        self.processes = Processes(
            private_directory(self.directory / "logs"),
            os.cpu_count() or 1,
            dict(environment or {}),
        )

    def __enter__(self) -> Rehearsal:
        return self

    def __exit__(self, *_: object) -> None:
        self.processes.stop()

    def run(self) -> dict[str, Any]:
        """The protocol, in its own order; gives what `rehearse --json` prints."""
        self.start_hub()
        self.enrol()
        self.agree()
        self.submit()
        run = self.match()
        self.release(run["run"])
        self.assemble(run)
        self.processes.stop()
        return self.report(run)

    def start_hub(self) -> None:
        """Make a hub and start it; `enrol` waits until it takes calls."""
        self._say("starting a hub with a certificate authority of its own")
        hub = str(self._hub)
        arguments = ["hub", "init", "--name", "rehearsal", "--home", hub, "--no-passphrase"]
        arguments += ["--address", "127.0.0.1:0", "--host", "127.0.0.1"]
        self.processes.run("init", "hub", arguments)
        command = [*self._hub_command, "serve", "--home", hub]
        self._await_hub = self.processes.serve(command, self.directory / "hub.address")

    def enrol(self) -> None:
        """Keys, invitations, certificates, and everybody's fingerprints compared."""
        self._say(f"enrolling {', '.join(self._members)}")
        made = self.processes.run_all("init", {m: self._member(m, "init") for m in self._members})
        invite = ["hub", "invite", "--home", str(self._hub), "--out", str(self.directory)]
        self.processes.run_all(
            "invite",
            {
                "partners": [*invite, *self._partners],
                "assembler": [*invite, self._manifest.assembler, "--role", "assembler"],
            },
        )
        self.processes.environment["LINKAGE_HUB"] = self._await_hub()
        self.processes.run_all(
            "enrol",
            {
                m: self._member(m, "enrol", str(self.directory / f"{m}.invite"))
                for m in self._members
            },
        )
        prints = {m: made[m]["fingerprint"] for m in self._members}
        self.processes.run_all(
            "trust",
            {
                m: self._member(m, "trust", *(w for o in prints if o != m for w in (o, prints[o])))
                for m in self._members
            },
        )

    def agree(self) -> None:
        self._say(f"all partners sign manifest {self._manifest.fingerprint[:16]}")
        path = self.directory / "manifest.json"
        write_atomic(path, self._manifest.canonical)
        home = ("--home", str(self._hub))
        self.processes.run("propose", "hub", ["hub", "propose", str(path), *home])
        self.processes.run_all(
            "sign",
            {
                # Nobody agrees to anything here: the house is made up.
                p: self._member(p, "sign", str(path), "--yes", "--despite-unanswered")
                for p in self._partners
            },
        )

        self._say("the partners make the project secret, which the hub cannot have")
        # All reveal before any submits: fewer processes than partners may run side by side.
        project = ("--project", self._manifest.project)
        self.processes.run_all(
            "share", {p: self._member(p, "share", *project) for p in self._partners}
        )

    def submit(self) -> None:
        self._say("each partner checks, encodes and uploads its file")
        project = ("--project", self._manifest.project)
        self.processes.run_all(
            "submit",
            {
                p: self._member(p, "submit", str(self._files[p]), *project, *WAIT)
                for p in self._partners
            },
        )

    def match(self) -> dict[str, Any]:
        """Find candidates, let the agents compare them, judge them."""
        self._say("the hub finds pairs of records that may match")
        home = ("--home", str(self._hub))
        start = ["hub", "run", self._manifest.project, "--detach", *home]
        run = self.processes.run("match", "hub", start)
        if run["state"] != "waiting":
            return run
        self._say("each partner answers how alike their fields are, under a key of each pair's own")
        project = ("--project", self._manifest.project)
        self.processes.run_all(
            "answer",
            {p: self._member(p, "answer", str(self._files[p]), *project) for p in self._partners},
        )
        return self.processes.run("score", "hub", ["hub", "watch", run["run"], *home])

    def release(self, run: str) -> None:
        self._say("the steward proposes a release; all partners approve and contribute")
        home = ("--home", str(self._hub))
        project = ("--project", self._manifest.project)
        links = str(self.directory / "links.parquet")
        self.processes.run_all(
            "release",
            {
                "hub": ["hub", "release", run, *home],
                "hub links": ["hub", "links", run, "--out", links, *home],
            },
        )
        self.processes.run_all(
            "approve", {p: self._member(p, "approve", *project, *WAIT) for p in self._partners}
        )
        self.processes.run_all(
            "contribute",
            {
                p: self._member(
                    p, "contribute", str(self._files[p]), *project, *self._tables(p), *WAIT
                )
                for p in self._partners
            },
        )

    def assemble(self, run: dict[str, Any]) -> None:
        """The extract; and true figures, which need none of it, on the core that is free."""
        self._say("the assembler opens the parcels and makes the extract")
        out = ("--out", str(self.extract))
        project = ("--project", self._manifest.project)
        assembler = self._manifest.assembler
        with self.processes.pool() as pool:
            scoring = None
            if self._truth is not None:
                scoring = pool.submit(
                    score,
                    self._manifest,
                    {p: self._epoch(p) for p in self._partners},
                    self._files,
                    self.directory / "links.parquet",
                    self._truth,
                    float(run["recommended"]["threshold"]),
                )
            self.processes.run(
                "assemble", assembler, self._member(assembler, "assemble", *project, *out)
            )
            self._scored = scoring.result() if scoring else None

    def report(self, run: dict[str, Any], *, pages: bool = True) -> dict[str, Any]:
        """Write the reports, if `pages`, and sum everything up."""
        truth = self._scored
        made = None
        if pages:
            shown = truth and {"overall": truth, "pairs": truth["pairs"]}
            with self.processes.pool() as pool:
                made = pool.submit(
                    draw,
                    self.extract,
                    self.directory / "reports",
                    tracts=self._tracts,
                    crosswalk=self._crosswalk,
                    known={"quality": shown, **self._planted},
                ).result()
        quality = json.loads((self.extract / "quality_report.json").read_bytes())
        pairs = {n: {"estimated": pair["at_recommended"]} for n, pair in quality["pairs"].items()}
        result: dict[str, Any] = {
            "project": self._manifest.project,
            "scheme": self._manifest.scheme.name,
            "run": run["run"],
            "estimated": quality["recommended"],
            "pairs": pairs,
        }
        if truth is not None:
            for name, pair in truth["pairs"].items():
                pairs[name] |= {k: pair[k] for k in ("matches", "recommended", "best")}
            result |= {k: truth[k] for k in ("matches", "recommended", "best")}
        steps = [asdict(step) for step in self.processes.steps]
        return result | {
            "rows": {p: self._rows(p) for p in self._partners},
            "reports": [str(path) for path in made.pages] if made else [],
            "figures": made.figures if made else {},
            "left_out": made.left_out if made else {},
            "steps": steps,
            "seconds": _seconds(steps),
            "bytes_sent": _bytes(steps),
            "peak_mib": _peaks(steps),
        }

    def _rows(self, partner: str) -> int:
        """How many records a partner sent."""
        header = json.loads((self._epoch(partner) / "header.json").read_bytes())
        return int(header["rows"])

    @property
    def extract(self) -> Path:
        return self.directory / "extract"

    @property
    def _hub(self) -> Path:
        return self.directory / "hub"

    def _member(self, name: str, command: str, *arguments: str) -> list[str]:
        group = "agent" if name in self._partners else "evaluator"
        home = str(self.directory / "parties" / name)
        return [group, command, *arguments, "--home", home]

    def _tables(self, partner: str) -> list[str]:
        return [
            word
            for option, given in self._given.items()
            for (owner, name), file in given.items()
            if owner == partner
            for word in (option, f"{name}={file}")
        ]

    def _epoch(self, partner: str) -> Path:
        place = self.directory / "parties" / partner / "projects" / self._manifest.project
        return place / "epoch-0"


def _require_files(
    manifest: Manifest,
    files: Mapping[str, Path],
    content: Mapping[PartnerTable, Path],
    truth: str | None,
) -> None:
    for name in files:
        manifest.partner(name)
    missing = [name for name in manifest.partner_names if name not in files]
    if missing:
        raise InputError(
            f"partner {missing[0]!r} has no file",
            remedy=f"Give it as --partner {missing[0]}=FILE",
        )
    for owner, table in content:
        names = [t.name for t in manifest.partner(owner).content]
        if table not in names:
            raise InputError(
                f"the manifest gives {owner!r} no content table {table!r}",
                remedy=f"Its tables are {', '.join(names) or 'none'}",
            )
    for name, file in files.items():
        source = SourceFile(file)
        if truth is not None:
            source.require([truth])
            partner = manifest.partner(name)
            if truth in {partner.column_of(field.name) for field in manifest.fields}:
                raise InputError(f"the truth column {truth!r} is an identifier field too")


def _seconds(steps: list[dict[str, Any]]) -> dict[str, float]:
    found: dict[str, float] = {}
    for step in steps:
        found[step["step"]] = round(max(found.get(step["step"], 0.0), step["seconds"]), 3)
    return found


def _bytes(steps: list[dict[str, Any]]) -> dict[str, int]:
    found: dict[str, int] = {}
    for step in steps:
        found[step["step"]] = found.get(step["step"], 0) + step["sent"]
    return found


def _peaks(steps: list[dict[str, Any]]) -> dict[str, float]:
    """Largest resident memory of any process, by party."""
    found: dict[str, float] = {}
    for step in steps:
        name = f"{step['party']} {step['step']}"
        found[name] = max(found.get(name, 0.0), step["peak_mib"])
    return found
