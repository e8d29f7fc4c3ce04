"""A red check: found out whose fault it is, and told when it is nobody's here."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from coder.attribution import Attribution, Kind, experiment
from coder.delivery import politely
from coder.errors import ForgeRefusedError, JournalError
from coder.forge.protocol import CheckReport, FailedJob
from coder.publish.texts import Texts
from coder.services import Ground, Services
from coder.trace.events import Attributed
from coder.trace.state import RunState
from coder.types import Task
from coder.verify.runs import Runs
from coder.verify.shelf import Shelf

SECONDS_A_SIDE: Final = 1_800.0
"""Time for the runs of base, and for those of head."""
BLAME_WORDS: Final[Mapping[Kind, str]] = MappingProxyType(
    {
        "caused": "The change causes this failure.",
        "pre_existing": "The failure was there before the change.",
        "flaky": "The failure comes and goes.",
        "not_reproduced": "The failure cannot be reproduced here.",
    }
)
_SHOWN_LINES = 20
_LOG_CHARS = 6_000


def in_question(task: Task, state: RunState) -> bool:
    """Whether what is worked on is a red check: what the run is about, or what was added to it last."""
    return (state.followup.kind if state.followup is not None else task.kind) == "check_failure"


def blamed(task: Task, services: Services, ground: Ground, state: RunState, shelf: Shelf) -> Attributed:
    """What an experiment says of the failed checks of a commit: of our branch, else of the one that the run is about.

    Runs of the tests that a process before this one made are taken from the `shelf`.

    Raises:
        SandboxError: No sandbox can be had.
    """
    problem, followup = state.problem, state.followup
    head_sha = _head(task, state)
    if head_sha is None or problem is None:
        raise JournalError(f"run {task.run_id} has no failed check to look at")
    key = followup.id if followup is not None else ""
    if followup is None and problem.base.sha != head_sha:
        return Attributed(followup=key, kind="not_reproduced", lines=("the branch has another commit by now",), log="")
    base_sha = problem.base.sha if followup is not None else _before(task, services, ground, head_sha)
    if base_sha is None:
        return Attributed(followup=key, kind="caused", lines=("there is no commit before it",), log="")
    jobs: tuple[FailedJob, ...] = ()
    with politely(task):
        jobs = services.forge.checks.failures(task, head_sha)
    told = followup.note.body if followup is not None else problem.problem.body.body
    jobs = jobs or (FailedJob(name="check", log=told),)
    found = _found(jobs, task, services, ground, shelf, base_sha=base_sha, head_sha=head_sha)
    return Attributed(followup=key, kind=found.kind, lines=found.lines, log=found.log)


def _head(task: Task, state: RunState) -> str | None:
    """The commit whose checks are red."""
    if state.followup is None:
        return task.check_sha
    return state.reopened.head_sha if state.reopened is not None else None


def _before(task: Task, services: Services, ground: Ground, head_sha: str) -> str | None:
    """What the red commit is held against: its pull request's base, or the commit before it."""
    if task.number is None:
        return ground.repository.history.parent(head_sha)
    base = services.forge.base(task.model_copy(update={"base_ref": f"pull/{task.number}/base"}))
    services.workspace.fetch(services.forge.remote(task), task.repo, base.sha)
    return base.sha


def _found(
    jobs: tuple[FailedJob, ...],
    task: Task,
    services: Services,
    ground: Ground,
    shelf: Shelf,
    *,
    base_sha: str,
    head_sha: str,
) -> Attribution:
    if ground.tests is None:
        return Attribution("not_reproduced", ("no way to run this repository's tests is known",))
    runs = Runs(
        ground.repository,
        services.sandboxes,
        image=ground.image,
        tests=ground.tests,
        rules=services.policy.proof,
        timeout_s=services.policy.test_timeout_s,
        labels={"coder.run": task.run_id},
        progress=services.progress,
        number=1,
        shelf=shelf,
    )
    trees = ground.repository
    return experiment(
        jobs, runs, base_tree=trees.tree_sha(base_sha), head_tree=trees.tree_sha(head_sha), seconds=SECONDS_A_SIDE
    )


def tell_blame(task: Task, services: Services, state: RunState, found: Attributed) -> None:
    """Say on the pull request what was seen, once for each commit; nothing else is done about it.

    The status comment of a run that is about the check itself says so already; without an issue the commit is told.
    """
    pull = state.pull_request
    if state.followup is None and task.number is None and task.check_sha is not None:
        shown = Texts(services.redact_fully)
        summary = "\n".join(f"- {shown.line(line, 300)}" for line in found.lines[:_SHOWN_LINES])
        services.forge.checks.report(task, task.check_sha, CheckReport("neutral", BLAME_WORDS[found.kind], summary))
    if pull is None or pull.number is None:
        return
    texts = Texts(services.redact_fully)
    lines = "\n".join(f"- {texts.line(line, 300)}" for line in found.lines[:_SHOWN_LINES])
    log = f"\n\n<details><summary>What the log says</summary>\n\n{texts.fence(found.log, _LOG_CHARS)}\n\n</details>"
    head = state.reopened.head_sha if state.reopened else pull.commit_sha
    text = (
        f"**A check of {head} is red. {BLAME_WORDS[found.kind]}** Nothing was changed.\n\n{lines}"
        f"\n\nThe failing tests were run on base and on this commit, in fresh containers.{log if found.log else ''}"
    )
    told = task.model_copy(update={"run_id": f"{task.run_id}.{found.followup}", "number": pull.number})
    with politely(task, ForgeRefusedError):  # on a locked pull request; what may pass is tried again
        services.forge.status(told, text)
