"""What a run can be: pending, running, waiting for answers in between, and ended."""

PENDING, RUNNING, WAITING = "pending", "running", "waiting"
SUCCEEDED, FAILED, CANCELLED = "succeeded", "failed", "cancelled"
ENDED = frozenset({SUCCEEDED, FAILED, CANCELLED})
