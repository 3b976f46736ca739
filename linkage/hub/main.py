"""The hub as a process: puts the use cases together, serves them, stops cleanly."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Sequence
from typing import Any

import grpc
import structlog

from linkage import __version__
from linkage.hub.audit import Audit
from linkage.hub.comparisons import Comparisons
from linkage.hub.exchange import Exchange
from linkage.hub.gate import ProjectGate
from linkage.hub.handover import Handover
from linkage.hub.home import HubHome
from linkage.hub.jobs import Jobs
from linkage.hub.keeper import Keeper
from linkage.hub.log import record
from linkage.hub.logview import LogView
from linkage.hub.membership import Membership
from linkage.hub.projects import Projects
from linkage.hub.releases import Releases
from linkage.hub.results import Results
from linkage.hub.reviews import Reviews
from linkage.hub.rotations import Rotations
from linkage.hub.runs import Runs
from linkage.hub.servicers import (
    ComparisonServicer,
    EnrolmentServicer,
    LogServicer,
    ProjectServicer,
    ReleaseServicer,
    ReviewServicer,
    RunServicer,
    SecretServicer,
    UploadServicer,
)
from linkage.hub.showing import Showing
from linkage.hub.uploads import Uploads
from linkage.hub.worker import Worker
from linkage.rpc.connections import Connections
from linkage.rpc.interceptors import Guard
from linkage.rpc.server import Server
from linkage.trust.identity import issue_server
from linkage.v1.comparison_pb2_grpc import add_ComparisonServiceServicer_to_server
from linkage.v1.enrolment_pb2_grpc import add_EnrolmentServiceServicer_to_server
from linkage.v1.log_pb2_grpc import add_LogServiceServicer_to_server
from linkage.v1.project_pb2_grpc import add_ProjectServiceServicer_to_server
from linkage.v1.release_pb2_grpc import add_ReleaseServiceServicer_to_server
from linkage.v1.review_pb2_grpc import add_ReviewServiceServicer_to_server
from linkage.v1.run_pb2_grpc import add_RunServiceServicer_to_server
from linkage.v1.secret_pb2_grpc import add_SecretServiceServicer_to_server
from linkage.v1.upload_pb2_grpc import add_UploadServiceServicer_to_server

GRACE_SECONDS = 10.0
log = structlog.get_logger()


class HubServer:
    """A hub ready to serve.

    Args:
        address: where to listen instead of the home's address.
        interceptors: more of them, outermost; tests listen to the wire with one.
    """

    def __init__(
        self,
        home: HubHome,
        *,
        address: str | None = None,
        interceptors: Sequence[grpc.ServerInterceptor[Any, Any]] = (),
    ) -> None:
        name, self._database = home.settings.name, home.database()
        self._database.migrate()
        blobs = home.blobs()
        projects, results = Projects(self._database), Results(blobs)
        enrolment = home.enrolment(self._database)
        rotations = Rotations(self._database, enrolment)
        comparisons = Comparisons(self._database, results, projects)
        worker = Worker(self._database, results, comparisons)
        self._jobs = Jobs(home.jobs_url, worker)
        self._runs = runs = Runs(self._database, projects, results, self._jobs.start)
        releases = Releases(self._database, blobs, projects, runs, results)
        handover = Handover(self._database, blobs, releases, results)
        showing = Showing(runs, releases)
        uploads = Uploads(self._database, blobs, home.path / "staging", projects, comparisons)
        self._keeper = Keeper(self._database, results, comparisons, uploads, self._jobs)

        log_view = LogView(self._database, home.log_key)

        def register(server: grpc.Server) -> None:
            add_EnrolmentServiceServicer_to_server(
                EnrolmentServicer(name, enrolment, rotations), server
            )
            add_ProjectServiceServicer_to_server(ProjectServicer(name, projects, log_view), server)
            exchange = Exchange(self._database, projects)
            add_SecretServiceServicer_to_server(SecretServicer(name, exchange), server)
            add_UploadServiceServicer_to_server(UploadServicer(name, uploads, log_view), server)
            add_RunServiceServicer_to_server(RunServicer(name, runs, showing), server)
            add_ReleaseServiceServicer_to_server(
                ReleaseServicer(name, releases, handover, log_view), server
            )
            reviews = Reviews(self._database, projects, runs, results)
            add_ReviewServiceServicer_to_server(ReviewServicer(name, reviews), server)
            add_LogServiceServicer_to_server(LogServicer(name, log_view), server)
            add_ComparisonServiceServicer_to_server(
                ComparisonServicer(name, comparisons, log_view), server
            )

        connections = Connections()
        self._audit = Audit(self._database, connections)
        calls = home.settings.calls_per_minute
        gate = ProjectGate(self._database, calls_per_minute=calls)
        self._server = Server(
            register=register,
            interceptors=[
                *interceptors,
                Guard(name, Membership(self._database).admit, self._audit, gate),
            ],
            issue=lambda: issue_server(home.authority, home.settings.hosts),
            authority=home.authority.certificate_pem,
            address=address or home.settings.address,
            healthy=self._database.healthy,
            connections=connections,
        )

    @property
    def port(self) -> int:
        return self._server.port

    def start(self) -> None:
        """Resume what was under way, then take calls."""
        self._jobs.launch()
        self._runs.resume()
        self._keeper.start()
        self._audit.start()
        with self._database.transaction() as connection:
            record(connection, "hub.started", version=__version__)
        self._server.start()
        log.info("serving", port=self.port)

    def stop(self) -> None:
        """Let calls finish, then leave; a run under way goes on at the next start."""
        self._server.stop(GRACE_SECONDS)
        self._keeper.stop()
        self._audit.stop()
        self._jobs.stop()
        self._database.close()
        log.info("stopped")


def serve(server: HubServer, started: Callable[[int], None]) -> None:
    """Serve until SIGTERM or SIGINT.

    Args:
        started: told the port once calls are taken.
    """
    stopping = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stopping.set())
    server.start()
    started(server.port)
    stopping.wait()
    server.stop()
