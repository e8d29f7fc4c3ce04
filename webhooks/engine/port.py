"""The seam to whatever runs jobs durably."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Literal, Protocol

from coder.types import JsonObject, Value

Runner = Callable[[JsonObject], JsonObject]
"""Does one job. It may be called again with the same payload after a crash, and must then go on where it was.

Plain JSON in and out. What it raises fails the job for good.
"""

NORMAL_PRIORITY = 100
"""Of 1 (first) to 2,147,483,647."""

JobState = Literal["queued", "running", "done", "failed", "cancelled"]


class Job(Value):
    """A job as the engine knows it. Times are milliseconds since 1970, UTC."""

    id: str
    repo: str
    state: JobState
    created_ms: int
    updated_ms: int
    result: JsonObject | None = None
    """What the runner gave back, once `done` or `failed`; a failure is `{"ok": false, "error": …}`."""


@dataclass(frozen=True, slots=True)
class Drained:
    """How a drain ended. `left` jobs still run in this process, which should then exit without waiting for them."""

    left: tuple[str, ...] = ()


class JobEngine(Protocol):
    """A durable queue with one running job per repository. Every method raises `EngineError` when it cannot be reached."""

    def submit(
        self, job_id: str, payload: JsonObject, *, repo: str, priority: int = NORMAL_PRIORITY, delay_s: float = 0.0
    ) -> Job:
        """Queue a job; a repeated `job_id` is the job that exists already. Low `priority` numbers run first."""
        ...

    def cancel(self, job_id: str) -> bool:
        """Mark a job as cancelled; False when it is unknown or over. Its result, if one comes, is not recorded."""
        ...

    def status(self, job_id: str) -> Job | None:
        """One job."""
        ...

    def list(self, *, limit: int = 50) -> tuple[Job, ...]:
        """The newest jobs, newest first."""
        ...

    def forget(self, *, before: datetime) -> int:
        """Remove jobs that are over and were queued before a time; how many."""
        ...

    def run_worker(self) -> None:
        """Start to take jobs, in threads of this process, and take up again what this worker left behind.

        Raises:
            ConfigError: Another live process works under the same executor id.
        """
        ...

    def drain(self, *, timeout_s: float) -> Drained:
        """Take no more jobs, wait for the running ones, and put what is still running back into the queue."""
        ...

    def close(self) -> None:
        """Let go of everything; safe to call twice. Jobs stay."""
        ...
