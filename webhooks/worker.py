"""How a worker does a job: again where what failed may pass, no more where it gets nowhere or is not its own any more."""

import logging
import threading
import time
from collections.abc import Callable
from typing import Final

from coder.types import Followup, JsonObject, Task
from webhooks.outbox import Inbox
from webhooks.starts import MAX_STARTS, Starts
from webhooks.store import Store
from webhooks.work import Work, is_stopped, run_of

logger = logging.getLogger(__name__)

TaskRunner = Callable[[Task, Followup | None, Callable[[str], tuple[Followup, ...]]], JsonObject]
"""Does one task, or what is added to it, from its journal if it was begun before. Plain JSON of at most 8 KB comes back.

The third argument gives what permitted people say to the run (by its id) while it works.
"""
Length = Callable[[str], int]
"""How many lines the journal of a run has, by its id, starts of processes left out."""
PAUSES_S: Final = (5.0, 30.0, 120.0)
"""Before a run that failed because GitHub, git or Docker did goes on from its journal, again."""


class Underway:
    """The jobs that run in this process, by their ids, and which of them were cancelled or given to another worker."""

    def __init__(self) -> None:
        self._guard = threading.Lock()
        self._lost: dict[str, bool] = {}

    def begin(self, job_id: str) -> None:
        """A job begins."""
        with self._guard:
            self._lost[job_id] = False

    def end(self, job_id: str) -> None:
        """It is over."""
        with self._guard:
            self._lost.pop(job_id, None)

    def is_lost(self, job_id: str) -> bool:
        """Whether it is not ours any more."""
        with self._guard:
            return self._lost.get(job_id, True)

    def lose(self, job_id: str) -> bool:
        """It is not ours any more; whether the containers of its run are to go.

        Once, as the thread may hang in a call for minutes in which the run goes on elsewhere; and not while it goes on here.
        """
        with self._guard:
            first = self._lost.get(job_id) is False
            self._lost |= {job_id: True} if first else {}
            return first and not any(run_of(one) == run_of(job_id) and not lost for one, lost in self._lost.items())


def on_payload(
    runner: TaskRunner,
    store: Store,
    underway: Underway,
    *,
    length: Length = lambda _: 0,
    pause: Callable[[float], None] = time.sleep,
) -> Callable[[JsonObject], JsonObject]:
    """`runner` for the engine's jobs. What fails by something that may pass is tried again.

    Not so what a person stopped, and what is not ours any more.
    """
    inbox, starts = Inbox(store.database), Starts(store.database, length)

    def run(payload: JsonObject) -> JsonObject:
        work = Work.model_validate(payload)
        underway.begin(work.job_id)
        try:
            if starts.begin(work.job_id):
                return tried(work)
            error = f"given up: it took its worker down {MAX_STARTS} times without getting on"
            return {"ok": False, "error": error, "kind": "poison"}
        finally:
            starts.end(work.job_id)
            underway.end(work.job_id)

    def tried(work: Work) -> JsonObject:
        def is_over(result: JsonObject) -> bool:
            ended = underway.is_lost(work.job_id) or is_stopped(work, inbox.of(work.task.run_id))
            return not result.get("passes") or ended

        result = runner(work.task, work.followup, inbox.of)
        for pause_s in PAUSES_S:
            if is_over(result):
                break
            logger.warning("a job is tried again", extra={"job": work.job_id, "pause_s": pause_s})
            pause(pause_s)
            if is_over(result):
                break
            result = runner(work.task, work.followup, inbox.of)
        return result

    return run
