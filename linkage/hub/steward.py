"""The steward's client: what `linkage hub` commands say to a running hub.

steward = Steward(Party.load(home / "steward"))
run = steward.run("prairie", watch=print)
"""

from __future__ import annotations

import json
import secrets
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from linkage import errors
from linkage.agreement import Manifest
from linkage.rpc.channel import Connection
from linkage.v1 import project_pb2, release_pb2, run_pb2
from linkage.v1.project_pb2_grpc import ProjectServiceStub
from linkage.v1.release_pb2_grpc import ReleaseServiceStub
from linkage.v1.run_pb2_grpc import RunServiceStub

RELEASE_SECONDS = 1800.0
WATCH_ATTEMPTS = 30
WATCH_PAUSE = 2.0
_UNDER_WAY = (
    run_pb2.RUN_STATE_PENDING,
    run_pb2.RUN_STATE_RUNNING,
    run_pb2.RUN_STATE_WAITING,
)


@dataclass(frozen=True)
class Links:
    """Scored pairs between two partners; handles are (n, 16) uint8."""

    left_partner: str
    right_partner: str
    left_handles: npt.NDArray[np.uint8]
    right_handles: npt.NDArray[np.uint8]
    probability: npt.NDArray[np.float64]


class Steward:
    """What a steward does over an open connection."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._projects = ProjectServiceStub(connection.channel)
        self._runs = RunServiceStub(connection.channel)
        self._releases = ReleaseServiceStub(connection.channel)

    def propose(self, manifest: Manifest) -> project_pb2.Project:
        """Open a project with its manifest, or propose its next; the partners then sign."""
        request = project_pb2.CreateProjectRequest(
            manifest=manifest.canonical, request_id=secrets.token_hex(16)
        )
        return self._connection.call(self._projects.CreateProject, request).project

    def withdraw(self, name: str, fingerprint: str) -> None:
        """Take back a manifest that is not in force."""
        request = project_pb2.WithdrawProposalRequest(project=name, fingerprint=fingerprint)
        self._connection.call(self._projects.WithdrawProposal, request)

    def rotate(self, name: str, reason: str) -> project_pb2.Project:
        """Begin an epoch: the partners make a new secret, and submit again."""
        request = project_pb2.RotateEpochRequest(
            project=name, reason=reason, request_id=secrets.token_hex(16)
        )
        return self._connection.call(self._projects.RotateEpoch, request).project

    def project(self, name: str) -> project_pb2.Project:
        request = project_pb2.GetProjectRequest(project=name)
        return self._connection.call(self._projects.GetProject, request).project

    def project_names(self) -> Iterator[str]:
        token = ""  # nosec B105 # of the next page, no secret
        while True:
            request = project_pb2.ListProjectsRequest(page_token=token)
            answer = self._connection.call(self._projects.ListProjects, request)
            yield from answer.projects
            token = answer.next_page_token
            if not token:
                return

    def start_run(self, project: str) -> run_pb2.Run:
        """Start matching; the run goes on at the hub whatever happens here."""
        request = run_pb2.CreateRunRequest(project=project, request_id=secrets.token_hex(16))
        return self._connection.call(self._runs.CreateRun, request).run

    def watch(
        self, run: str, show: Callable[[run_pb2.Run], None], *, through_waiting: bool = True
    ) -> run_pb2.Run:
        """Follow a run to its end, also through a restart of the hub.

        Args:
            through_waiting: go on while the run waits for partners; if not, come back then.

        Raises:
            LinkageError: of the run's own kind, when it failed or was cancelled.
        """
        last: run_pb2.Run | None = None
        request, failures = run_pb2.WatchRunRequest(run=run), 0
        while failures <= WATCH_ATTEMPTS and (last is None or last.state in _UNDER_WAY):
            try:
                for answer in self._connection.receive(self._runs.WatchRun, request):
                    last, failures = answer.run, 0
                    show(last)
                    if last.state == run_pb2.RUN_STATE_WAITING and not through_waiting:
                        return last
            except errors.HubUnavailableError:
                if last is None or failures == WATCH_ATTEMPTS:
                    raise
            if last is None or last.state in _UNDER_WAY:
                failures += 1
                time.sleep(WATCH_PAUSE)
        if last is None or last.state in _UNDER_WAY:
            raise errors.HubUnavailableError("the hub stopped watching the run")
        if last.state == run_pb2.RUN_STATE_CANCELLED:
            raise errors.CancelledError("the run was cancelled")
        if last.state == run_pb2.RUN_STATE_FAILED:
            cls = errors.by_reason().get(last.reason, errors.LinkageError)
            raise cls(f"the run failed: {last.message}")
        return last

    def cancel(self, run: str) -> run_pb2.Run:
        request = run_pb2.CancelRunRequest(run=run)
        return self._connection.call(self._runs.CancelRun, request).run

    def runs(self, project: str) -> list[run_pb2.Run]:
        request = run_pb2.ListRunsRequest(project=project)
        found = self._connection.call(self._runs.ListRuns, request).runs
        return sorted(found, key=lambda run: run.created_at.ToNanoseconds())

    def report(self, run: str) -> dict[str, Any]:
        """The run's quality report."""
        request = run_pb2.GetQualityReportRequest(run=run)
        answer = self._connection.call(self._runs.GetQualityReport, request)
        found: dict[str, Any] = json.loads(answer.report)
        return found

    def links(self, run: str, min_probability: float) -> Iterator[Links]:
        """Scored pairs by row handle, in batches."""
        request = run_pb2.ListLinksRequest(run=run, min_probability=min_probability)
        for batch in self._connection.receive(self._runs.ListLinks, request):
            yield Links(
                batch.left_partner,
                batch.right_partner,
                np.frombuffer(batch.left_handles, np.uint8).reshape(-1, 16),
                np.frombuffer(batch.right_handles, np.uint8).reshape(-1, 16),
                np.array(batch.match_probability),
            )

    def release(self, run: str, threshold: float | None) -> release_pb2.Release:
        """Propose a run's links for release; every partner then approves."""
        request = release_pb2.CreateReleaseRequest(
            run=run, threshold=threshold, request_id=secrets.token_hex(16)
        )
        answer = self._connection.call(
            self._releases.CreateRelease, request, seconds=RELEASE_SECONDS
        )
        return answer.release

    def find_release(self, release: str) -> release_pb2.Release:
        request = release_pb2.GetReleaseRequest(release=release)
        return self._connection.call(self._releases.GetRelease, request).release

    def confirm(self, release: str, signature: bytes) -> release_pb2.Release:
        """Hand over this steward's signed confirmation of a release."""
        request = release_pb2.ConfirmReleaseRequest(release=release, signature=signature)
        return self._connection.call(self._releases.ConfirmRelease, request).release

    def releases(self, project: str) -> list[release_pb2.Release]:
        request = release_pb2.ListReleasesRequest(project=project)
        return list(self._connection.call(self._releases.ListReleases, request).releases)


def state_name(run: run_pb2.Run) -> str:
    """A run's state as a word."""
    return run_pb2.RunState.Name(run.state).removeprefix("RUN_STATE_").lower()
