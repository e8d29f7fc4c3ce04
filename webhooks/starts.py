"""Jobs that take their worker down: given up when they get nowhere between, and never for how often somebody kills the service."""

from collections.abc import Callable
from typing import Final

from webhooks.database import Database
from webhooks.work import run_of

MAX_STARTS: Final = 10
"""Starts of a job at one place of its journal. A run whose worker was killed from outside is further on the next time."""


class Starts:
    """Counts them; `length` tells by a run's id how far its journal has come."""

    def __init__(self, database: Database, length: Callable[[str], int]) -> None:
        self._database, self._length = database, length

    def begin(self, job_id: str) -> bool:
        """Count a start; False when it is one too many at the same place."""
        rows = self._database.rows(
            "INSERT INTO starts (job_id, length, times) VALUES (?, ?, 1) ON CONFLICT (job_id) DO UPDATE SET"
            " times = CASE WHEN length = excluded.length THEN times + 1 ELSE 1 END, length = excluded.length"
            " RETURNING times",
            (job_id, self._length(run_of(job_id))),
        )
        return int(rows[0]["times"]) <= MAX_STARTS

    def end(self, job_id: str) -> None:
        """Forget them: the job came to an end."""
        self._database.rows("DELETE FROM starts WHERE job_id = ?", (job_id,))
