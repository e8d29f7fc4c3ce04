"""Running a journal again with its recorded answers: does it reach the same tree? No model, no forge, no credential."""

import itertools
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from typing_extensions import override

from coder.app import Application, Options
from coder.bundle import opened
from coder.errors import CoderError, InputError, JournalError
from coder.forge.local import LocalForge
from coder.run import resolve
from coder.trace.events import (
    Answered,
    Attempted,
    Continued,
    Event,
    PatchTaken,
    ProblemRead,
    Reviewed,
    RunStarted,
    Summarised,
    Verified,
)
from coder.trace.journal import Journal, JournalStore
from coder.types import Base, Completion, Message, Problem, Remote, Task, TreePack, Usage, Value, VerdictKind
from coder.verify.shelf import Shelf
from coder.workspace.git import Git
from coder.workspace.unpack import unpacked
from coder.workspace.workspace import Workspace


class Replay(Value):
    """What a replay came to."""

    answers: int
    """Recorded answers that were played."""
    recorded_tree: str
    replayed_tree: str
    verdict: VerdictKind
    digest: str
    """Hash of the last line of the journal that was played."""
    tested: bool = True
    """The tests were run again, all of them; otherwise `verdict` is the recorded one."""
    segments_left_out: int = 0
    """How often people added to the run after its first end; that is not played."""

    @property
    def same(self) -> bool:
        """Whether the replay reached the tree that the journal tells of."""
        return self.recorded_tree == self.replayed_tree


class _RecordedForge(LocalForge):
    """The forge as the journal remembers it; writes go nowhere."""

    def __init__(self, read: ProblemRead, remote: Remote | None) -> None:
        super().__init__(Path(), head=read.base.sha, branch=read.base.ref, title="", body="")
        self._read = read
        self._recorded_remote = remote or Remote(url=read.remote_url, local=read.remote_is_local)

    @override
    def problem(self, task: Task) -> Problem:
        return self._read.problem

    @override
    def base(self, task: Task) -> Base:
        return self._read.base

    @override
    def remote(self, task: Task) -> Remote:
        return self._recorded_remote


def replay(
    app: Application,
    source: str,
    *,
    progress: Callable[[str], None],
    unsafe_local: bool = False,
    tested: bool = True,
    digest: str = "",
) -> Replay:
    """Run a journal again: its problem, base commit and answers, in new containers (or without, if unsafe).

    Unless `tested`, no test is run: what the tests said is taken from the journal, and only the tree is put to the proof.
    `source` is a run of this machine or the path of a bundle; `digest`, if given, must be the hash of one of its lines, as
    a pull request names it.

    Raises:
        InputError: There is no such run, or it never took a change out of its sandbox.
        JournalError: The journal was changed after it was written; the message names the first bad line.
    """
    how = _How(progress, unsafe_local=unsafe_local, tested=tested)
    if not Path(source).is_file():
        return _replayed(app, _checked(app.journals.open(source), digest), None, how)
    with opened(Path(source)) as bundle:
        journal = bundle.store.open(bundle.manifest.run_id)
        return _replayed(app, _checked(journal, digest), bundle.base, how)


@dataclass(frozen=True, slots=True)
class _How:
    """The way in which a journal is played."""

    progress: Callable[[str], None]
    unsafe_local: bool
    tested: bool


def _checked(journal: Journal, digest: str) -> Journal:
    if digest and not any(entry.hash == digest for entry in journal.entries):
        raise JournalError(
            f"no line of the journal has the digest {digest[:12]}: it is not the journal that was published"
        )
    return journal


def _replayed(app: Application, journal: Journal, base: TreePack | None, how: _How) -> Replay:
    # What people added later is not played: it depends on what they did to the branch meanwhile.
    events = tuple(itertools.takewhile(lambda event: not isinstance(event, Continued), journal.events))
    task = next((e.task for e in events if isinstance(e, RunStarted)), None)
    read = next((e for e in events if isinstance(e, ProblemRead)), None)
    if task is None or read is None:
        raise InputError(f"there is no run {journal.run_id!r} to replay; `coder trace` lists the runs")
    recorded_tree = _last_tree(events)
    answers, reviewer = _answers(events)
    with tempfile.TemporaryDirectory(prefix="coder-replay-") as name:
        folder = Path(name)
        remote = unpacked(base, folder / "base.git", git=Git()) if base is not None else None
        workspace = Workspace(folder / "mirrors") if remote is not None else app.workspace()
        journals = JournalStore(folder / "journal.sqlite")
        try:
            options = Options(recorded=answers, progress=how.progress, unsafe_local=how.unsafe_local)
            services = app.services(_RecordedForge(read, remote), options)
            rules = {"reviewer": reviewer, "max_rounds": _rounds(events)} | ({} if how.tested else {"baseline_s": 0})
            services = replace(
                services,
                journals=journals,
                workspace=workspace,
                dry_run=folder / "pull-request",
                # Whoever plays a run again wants to see the tests run: nothing is taken from the journal.
                shelf=lambda _: Shelf(),
                judged=() if how.tested else tuple(e for e in events if isinstance(e, Verified)),
                policy=services.policy.model_copy(update=rules),
            )
            again = task.model_copy(update={"run_id": f"{journal.run_id}-replay", "model": _known_model(app, task)})
            result = resolve(again, services)
            tree = _last_tree(journals.open(again.run_id).events)
        finally:
            journals.close()
    return Replay(
        answers=len(answers),
        recorded_tree=recorded_tree,
        replayed_tree=tree,
        verdict=result.verdict.kind,
        digest=journal.digest,
        tested=how.tested,
        segments_left_out=sum(isinstance(event, Continued) for event in journal.events),
    )


def _answers(events: tuple[Event, ...]) -> tuple[list[Completion], str]:
    """Every answer that was paid for, in order; and who reviewed, for `Policy.reviewer`.

    Where a reviewer could not be asked, an answer that is no review stands for it.
    """
    asked = [e for e in events if isinstance(e, Answered | Summarised | Reviewed)]
    silent = Completion(
        message=Message(role="assistant"), finish_reason="stop", usage=Usage(), cost_usd=0.0, model="none"
    )
    # A review that no money was left for is not asked for in the replay either.
    answers = [
        e.completion or silent
        for e in asked
        if not isinstance(e, Reviewed) or e.completion or "could not be asked" in e.problem
    ]
    return answers, "same" if any(isinstance(e, Reviewed) for e in asked) else ""


def _rounds(events: tuple[Event, ...]) -> int:
    """As many as an attempt had at most: whoever ran it may allow more or fewer."""
    counts = [0]
    for event in events:
        if isinstance(event, Attempted):
            counts.append(0)
        counts[-1] += isinstance(event, Verified)
    return max(1, *counts)


def _known_model(app: Application, task: Task) -> str:
    """The run's profile, or ours where this machine does not have it: no model is asked, only limits and windows differ."""
    try:
        app.profile(task.model)
    except CoderError:
        return app.settings.model.profile
    return task.model


def packed_base(app: Application, run_id: str) -> TreePack:
    """The commit that a run worked from with as much history as its sandbox had, for a bundle that needs no remote.

    Raises:
        InputError: There is no such run. WorkspaceError: The commit is not in the mirror and cannot be fetched.
    """
    events = app.journals.open(run_id).events
    task = next((e.task for e in events if isinstance(e, RunStarted)), None)
    read = next((e for e in events if isinstance(e, ProblemRead)), None)
    if task is None or read is None:
        raise InputError(f"there is no run {run_id!r} to export; `coder trace` lists the runs")
    remote = Remote(url=read.remote_url, local=read.remote_is_local)
    repository = app.workspace().fetch(remote, task.repo, read.base.sha)
    return repository.pack(read.base.sha, depth=app.settings.policy.history)


def _last_tree(events: tuple[Event, ...]) -> str:
    trees = [e.patch.tree_sha for e in events if isinstance(e, PatchTaken)]
    if not trees:
        raise InputError("the run took no change out of its sandbox: there is no tree to compare")
    return trees[-1]
