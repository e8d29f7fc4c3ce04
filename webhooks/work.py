"""What is kept of a decision: jobs for the engine, and small chores that need GitHub but no run."""

import re
from collections.abc import Iterable
from typing import Final, Literal

from coder.types import Followup, Task, Value

RUN_ID: Final = re.compile(r"gh\d{1,19}-\d{1,19}-[0-9a-f]{16}", re.ASCII)
"""What a run id looks like: repository id, issue number, and a digest of the event; safe in paths and labels."""
JOB_ID: Final = re.compile(rf"{RUN_ID.pattern}(?:\.[a-z]+-[0-9a-f]{{1,19}})?", re.ASCII)
"""A run's first job has the run's id; what is added to it later is named behind a dot."""


class Work(Value):
    """One job: a run, or what is added to one."""

    task: Task
    followup: Followup | None = None

    @property
    def job_id(self) -> str:
        """Equal for redeliveries, so that the engine takes it once."""
        return self.task.run_id if self.followup is None else f"{self.task.run_id}.{self.followup.id}"

    @property
    def sender(self) -> str:
        """Who asked for it."""
        return self.task.requested_by if self.followup is None else self.followup.note.author


class Chore(Value):
    """Something small to do at GitHub, soon and once; whoever asked must have write permission then.

    react: 👀 · answer: post `text` as the comment `marker` · describe: as answer, with how the run stands · steer: pass the
    follow-up on to the run that works · stop: end the run · switch: automatic fixes on or off (`text`), then answer ·
    finalise: a run died for good, say so on its status comment · ready: the draft `number` stops being one, if the checks of
    its commit (`text`) are green · look: decide the request `text`, if its commit is the head of the pull request `number` ·
    hand_over: a person has to go on with the run.
    """

    id: str
    kind: Literal["react", "answer", "describe", "steer", "stop", "switch", "finalise", "ready", "look", "hand_over"]
    work: Work
    """The task says where; who asked is `work.sender`."""
    text: str = ""
    number: int | None = None
    """Where it was asked, when that is not the task's own issue: the run's pull request."""
    marker: str = ""
    """What makes the answer one comment, however often it is said."""


URGENCY: Final = ("stop", "steer", "react", "switch", "answer", "describe", "finalise", "hand_over", "ready", "look")
"""Kinds of chores, the most urgent first: a person who says stop does not wait behind 300 reactions."""


def run_of(job_id: str) -> str:
    """The run that a job belongs to."""
    return job_id.partition(".")[0]


def is_stopped(work: Work, told: Iterable[Followup]) -> bool:
    """Whether, among what its run was told, a stop came after the job was asked for; it ends no job that is added later."""
    since = work.task.requested_at if work.followup is None else work.followup.note.created_at
    return any(said.kind == "stop" and (said.note.created_at or since) >= since for said in told)


def thread_of(run_id: str) -> str:
    """What at most one live run may work on: the repository's id and the issue, as the run id starts with them."""
    return run_of(run_id).rpartition("-")[0]
