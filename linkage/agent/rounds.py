"""Every comparison round that waits for this partner: agreed to, answered and sent, run by run.

    answered = Rounds(contact).answer(file, None, threads=2, progress=progress)

- What was agreed to answer is kept before the first answer is made: a second list for the same
  comparison, or one run too many, is refused whatever became of the first.
- A list is answered only if it is in the hub's log, so that nobody is asked in secret.

How one round is checked and answered: `answer`.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from linkage import files
from linkage.agent.answer import Round, Terms
from linkage.agent.contact import Contact
from linkage.agent.records import Progress, open_records
from linkage.agreement.canonical import canonical
from linkage.encoding.pairwise import PairwiseEncoder
from linkage.errors import AgreementError, LimitError
from linkage.v1 import comparison_pb2 as pb
from linkage.v1.comparison_pb2_grpc import ComparisonServiceStub


@dataclass(frozen=True)
class Answered:
    """One comparison's answers; `repeated` where the hub had them already."""

    run: str
    other: str
    entries: int
    repeated: bool


class Rounds:
    """What the hub asks of this partner in the present epoch.

    Raises:
        NotReadyError: nothing was submitted.
    """

    def __init__(self, contact: Contact) -> None:
        self._contact = contact
        self._terms = Terms.of(contact)
        self._directory = files.private_directory(contact.kept.rounds(contact.epoch))

    def answer(
        self, file: Path, aliases: Path | None, *, threads: int, progress: Progress
    ) -> list[Answered]:
        """Answer every list that waits; see `Agent.answer`.

        Args:
            file, aliases: what was submitted; not read where nothing waits.
        """
        contact, epoch = self._contact, self._contact.epoch
        waiting = by_run(self._comparisons())
        forget_ended(self._directory, waiting)
        ledger = Ledger(self._directory / "agreed.json")
        done: list[Answered] = []
        for run, asked in waiting.items():
            repeated = [one for one in asked if one.answered]
            done += [Answered(run, one.other, one.entries, True) for one in repeated]
            if len(repeated) == len(asked):
                continue
            for one in asked:
                self._require_logged(one)
            this = Round(self._directory / f"round-{run}", self._terms, asked)
            lists = this.fetch(contact.connection)
            digests = {one.other: one.digest for one in lists}
            ledger.enter(run, digests, most_runs=self._terms.most_runs)
            secret = contact.exchange.secret()
            records = open_records(contact.manifest, contact.partner, file, aliases)
            sent = records.sent(contact.kept.encodings(epoch).directory)
            with PairwiseEncoder(contact.manifest, secret, epoch=epoch) as encoder:
                this.encode(lists, encoder, sent, threads=threads, progress=progress)
            for answers in lists:
                this.send(contact, answers, progress)
                done.append(Answered(run, answers.other, len(answers), False))
        return done

    def _comparisons(self) -> list[pb.Comparison]:
        """This partner's lists in the runs that wait for answers."""
        stub = ComparisonServiceStub(self._contact.connection.channel)
        request = pb.ListComparisonsRequest(project=self._contact.project)
        return list(self._contact.connection.call(stub.ListComparisons, request).comparisons)

    def _require_logged(self, asked: pb.Comparison) -> None:
        """See that what the hub asks is in its log."""
        self._contact.witness.require_receipt(
            self._contact.connection,
            asked.log,
            "list.issued",
            name=f"list-{asked.run}-{asked.other}",
            project=asked.project,
            party="hub",
            subject=asked.run,
            partner=self._contact.name,
            other=asked.other,
            digest=asked.digest,
        )


_AGREED: TypeAdapter[dict[str, dict[str, str]]] = TypeAdapter(dict[str, dict[str, str]])


class Ledger:
    """Which lists this agent has agreed to answer in one epoch, by run and other partner."""

    def __init__(self, path: Path) -> None:
        self._path = path
        try:
            self._known = _AGREED.validate_json(path.read_bytes()) if path.exists() else {}
        except ValidationError:
            raise AgreementError(
                f"{path} is damaged: what was agreed to answer is not known",
                remedy="Put it back from a backup; without it the hub could ask twice",
            ) from None

    def enter(self, run: str, lists: Mapping[str, str], *, most_runs: int) -> None:
        """Agree to lists, given by other partner and digest.

        Raises:
            AgreementError: another list was agreed to for one of these comparisons.
            LimitError: it would be one run more than the manifest allows.
        """
        known = self._known.get(run, {})
        for other, digest in lists.items():
            if known.get(other, digest) != digest:
                raise AgreementError(
                    f"the hub sends a second list for the comparison with {other!r}",
                    remedy="Tell the steward: only the first list of a run is answered",
                )
        if not known and len(self._known) >= most_runs:
            raise LimitError(
                f"this agent has answered {most_runs} runs, as many as the manifest allows",
                remedy="A new epoch or a new manifest, signed by all, allows more",
            )
        self._known[run] = {**known, **lists}
        files.write_atomic(self._path, canonical(self._known))


def by_run(comparisons: Iterable[pb.Comparison]) -> dict[str, list[pb.Comparison]]:
    """What is asked, run by run, each in the order of the other partner's name."""
    found: dict[str, list[pb.Comparison]] = {}
    for asked in sorted(comparisons, key=lambda one: (one.run, one.other)):
        found.setdefault(asked.run, []).append(asked)
    return found


def forget_ended(directory: Path, waiting: Iterable[str]) -> None:
    """Delete what is left of rounds that no run waits for any more."""
    keep = set(waiting)
    for place in directory.glob("round-*"):
        if place.name.removeprefix("round-") not in keep:
            shutil.rmtree(place)
