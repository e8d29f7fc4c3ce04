"""Running a journal again with its recorded answers: does it reach the same tree? No model, no forge, no credential."""

import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from typing_extensions import override

from coder.app import Application, Options
from coder.errors import InputError
from coder.forge.protocol import Forge
from coder.run import resolve
from coder.trace.events import Answered, Event, PatchTaken, ProblemRead, RunStarted
from coder.trace.journal import JournalStore
from coder.types import Base, Problem, Proposal, PullRequest, Remote, RunResult, Task, Value, VerdictKind


class Replay(Value):
    """What a replay came to."""

    answers: int
    """Recorded answers that were played."""
    recorded_tree: str
    replayed_tree: str
    verdict: VerdictKind

    @property
    def same(self) -> bool:
        """Whether the replay reached the tree that the journal tells of."""
        return self.recorded_tree == self.replayed_tree


class _RecordedForge(Forge):
    """The forge as the journal remembers it; writes go nowhere."""

    def __init__(self, read: ProblemRead) -> None:
        self._read = read

    @override
    def may_write(self, task: Task) -> bool:
        return True

    @override
    def problem(self, task: Task) -> Problem:
        return self._read.problem

    @override
    def base(self, task: Task) -> Base:
        return self._read.base

    @override
    def remote(self, task: Task) -> Remote:
        return Remote(url=self._read.remote_url, local=self._read.remote_is_local)

    @override
    def acknowledge(self, task: Task) -> None:
        return

    @override
    def status(self, task: Task, body: str) -> None:
        return

    @override
    def publish(self, task: Task, proposal: Proposal, commit_sha: str) -> PullRequest:
        return PullRequest(branch=proposal.branch, commit_sha=commit_sha, draft=proposal.draft)

    @override
    def finish(self, task: Task, result: RunResult) -> None:
        return


def replay(app: Application, run_id: str, *, progress: Callable[[str], None], unsafe_local: bool = False) -> Replay:
    """Run a finished journal again: its problem, base commit and answers, in new containers (or without, if unsafe).

    Raises:
        InputError: There is no such run, or it never took a change out of its sandbox.
        JournalError: The journal was changed after it was written; the message names the first bad line.
    """
    events = app.journals.open(run_id).events
    task = next((e.task for e in events if isinstance(e, RunStarted)), None)
    read = next((e for e in events if isinstance(e, ProblemRead)), None)
    if task is None or read is None:
        raise InputError(f"there is no run {run_id!r} to replay; `coder trace` lists the runs")
    recorded_tree = _last_tree(events)
    answers = [e.completion for e in events if isinstance(e, Answered)]
    options = Options(recorded=answers, progress=progress, unsafe_local=unsafe_local)
    with tempfile.TemporaryDirectory(prefix="coder-replay-") as folder:
        journals = JournalStore(Path(folder) / "journal.sqlite")
        try:
            services = app.services(_RecordedForge(read), options)
            services = replace(services, journals=journals, dry_run=Path(folder) / "pull-request")
            again = task.model_copy(update={"run_id": f"{run_id}-replay"})
            result = resolve(again, services)
            tree = _last_tree(journals.open(again.run_id).events)
        finally:
            journals.close()
    return Replay(answers=len(answers), recorded_tree=recorded_tree, replayed_tree=tree, verdict=result.verdict.kind)


def _last_tree(events: tuple[Event, ...]) -> str:
    trees = [e.patch.tree_sha for e in events if isinstance(e, PatchTaken)]
    if not trees:
        raise InputError("the run took no change out of its sandbox: there is no tree to compare")
    return trees[-1]
