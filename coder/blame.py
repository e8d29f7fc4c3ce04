"""A red check of our pull request: found out whose fault it is, and told when it is not ours."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from coder.attribution import Attribution, Kind, experiment
from coder.delivery import politely
from coder.errors import JournalError
from coder.forge.protocol import FailedJob
from coder.publish.texts import Texts
from coder.services import Ground, Services
from coder.trace.events import Attributed
from coder.trace.state import RunState
from coder.types import Task
from coder.verify.runs import Runs

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


def blamed(task: Task, services: Services, ground: Ground, state: RunState) -> Attributed:
    """What an experiment says of the failed checks of the branch's commit.

    Raises:
        SandboxError: No sandbox can be had.
    """
    followup, reopened, problem = state.followup, state.reopened, state.problem
    if followup is None or reopened is None or reopened.head_sha is None or problem is None:
        raise JournalError(f"run {task.run_id} has no failed check to look at")
    jobs: tuple[FailedJob, ...] = ()
    with politely(task):
        jobs = services.forge.checks.failures(task, reopened.head_sha)
    jobs = jobs or (FailedJob(name="check", log=followup.note.body),)
    found = _found(jobs, task, services, ground, base_sha=problem.base.sha, head_sha=reopened.head_sha)
    return Attributed(followup=followup.id, kind=found.kind, lines=found.lines, log=found.log)


def _found(
    jobs: tuple[FailedJob, ...], task: Task, services: Services, ground: Ground, *, base_sha: str, head_sha: str
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
    )
    trees = ground.repository
    return experiment(
        jobs, runs, base_tree=trees.tree_sha(base_sha), head_tree=trees.tree_sha(head_sha), seconds=SECONDS_A_SIDE
    )


def tell_blame(task: Task, services: Services, state: RunState, found: Attributed) -> None:
    """Say on the pull request what was seen, once for each commit; nothing else is done about it."""
    pull = state.pull_request
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
    services.forge.status(
        task.model_copy(update={"run_id": f"{task.run_id}.{found.followup}", "number": pull.number}), text
    )
