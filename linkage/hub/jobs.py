"""The durable queue that runs wait in (DBOS): what was queued or under way survives a restart.

- One job at a time: matching uses every core by itself.
- A job is known by its run's id, so queueing it again does nothing.
"""

from __future__ import annotations

from dbos import DBOS, SetWorkflowID

from linkage.hub.worker import Worker

POLL_SECONDS = 0.2
JOBS_VERSION = "1"
_QUEUE = "runs"
_SECOND = "-compare"
_UNDER_WAY = ("PENDING", "ENQUEUED", "DELAYED")


class Jobs:
    """The queue.

    Args:
        url: database of the queue itself; SQLite or PostgreSQL.
    """

    def __init__(self, url: str, worker: Worker) -> None:
        self._worker = worker
        DBOS(
            config={
                "name": "linkage",
                "system_database_url": url,
                "application_version": JOBS_VERSION,
                "enable_otlp": False,
                "console_log_level": "ERROR",
                "notification_listener_polling_interval_sec": POLL_SECONDS,
            }
        )

    def launch(self) -> None:
        """Take up what was under way when the hub stopped."""
        DBOS.launch()
        self._queue = DBOS.register_queue(
            _QUEUE, global_concurrency=1, polling_interval_sec=POLL_SECONDS
        )

    def start(self, run: str) -> None:
        """Queue a run; one that is queued or done already stays as it is."""
        with SetWorkflowID(run):
            self._queue.enqueue(self._worker.link, run)

    def go_on(self, run: str) -> None:
        """Queue the second part of a run that has waited; likewise."""
        with SetWorkflowID(run + _SECOND):
            self._queue.enqueue(self._worker.compare, run)

    def over(self, run: str) -> bool | None:
        """Whether a run's last job has ended, however; None where it never had one."""
        for job in (run + _SECOND, run):
            found = DBOS.get_workflow_status(job)
            if found is not None:
                return found.status not in _UNDER_WAY
        return None

    def stop(self) -> None:
        DBOS.destroy(workflow_completion_timeout_sec=0)
