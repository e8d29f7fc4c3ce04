"""One task, from what somebody asked for to a published, proven change. Read this file first.

Each station begins by looking at the journal: what is written there was done, and is not done again. So a run that
died at any instant is continued by calling `resolve` again with the same task. What people add later (a `Followup`)
opens the same journal again: one conversation, one branch (docs/decisions/0008).
"""

import logging
from dataclasses import replace

from coder import __version__
from coder.delivery import Delivery, Moved, on_behalf, politely
from coder.errors import CoderError, ForgeError, InputError, JournalError, PermissionDeniedError, WorkspaceError
from coder.publish.status import status_body
from coder.repo_config import RepoConfig, repo_config
from coder.rounds import Rounds
from coder.sandbox.protocol import Image
from coder.segment import Segment
from coder.services import Ground, Services
from coder.trace.events import Answered, Continued, Entry, Finished, Prepared, ProblemRead, Resumed, RunStarted
from coder.trace.state import RunState, limits_now, spent, state_of
from coder.types import Base, Followup, Outcome, PullRequest, RunResult, Task, Verdict
from coder.verify.commands import test_command
from coder.workspace.contents import Contents
from coder.workspace.repository import Repository

logger = logging.getLogger(__name__)

STEPS_BETWEEN_REPORTS = 15
"""Model calls from one edit of the status comment to the next; GitHub asks for a second between writes."""
MAX_MEETINGS = 3
"""How often a change is put on what others pushed meanwhile."""


def resolve(task: Task, services: Services, followup: Followup | None = None) -> RunResult:
    """Carry the task out, or go on with it; a finished one gives its result again.

    A `followup` that the run has not taken yet opens it again: the same conversation goes on, and the same branch gets
    another commit. It is taken once, whatever dies on the way.

    Raises:
        PermissionDeniedError: Who said it may not write to the repository; nothing was done.
        CoderError: Our own machinery failed. The journal is kept, and calling again goes on from it.
    """
    run = _Run(task, services)
    heard = None if followup is None else run.heard(followup)
    try:
        return run.resolve(heard)
    except CoderError as exc:
        run.report_failure(exc)
        raise


class _Run:
    """One run in one process: the stations of the line, in order."""

    def __init__(self, task: Task, services: Services) -> None:
        self._task, self._services, self._policy = task, services, services.policy
        listeners = (*services.listeners, self._report)
        self._journal = services.journals.open(task.run_id, redact=services.redact, listeners=listeners)

    @property
    def _state(self) -> RunState:
        return state_of(self._journal.events)

    def heard(self, followup: Followup) -> Followup | None:
        """The follow-up as it may be taken; None when the run has taken it already.

        Raises:
            PermissionDeniedError: A person without write permission said it.
        """
        if followup.id in self._state.heard:
            return None
        forge, task = self._services.forge, self._task
        published = self._state.pull_request
        heard = forge.heard(task, followup, published.number if published else None)
        allowed = forge.may_write(task) if heard.kind == "check_failure" else heard.note.trusted
        if not allowed:
            raise PermissionDeniedError(
                f"{heard.note.author} has no write permission to {task.repo.full_name}: the run is not continued"
            )
        return heard

    def resolve(self, followup: Followup | None) -> RunResult:
        if followup is None and (done := self._state.finished) is not None:
            return done.result
        if self._journal.events:
            self._journal.append(Resumed(version=__version__))
            self._services.sandboxes.sweep(run_id=self._task.run_id)
        else:
            self._journal.append(RunStarted(task=self._task, version=__version__))
        if followup is not None:
            self._journal.append(Continued(followup=followup))
        refusal = self._read()
        if refusal is not None:
            return self._finish(refusal, Outcome(kind="failed", reason=refusal.reasons[0]), None)
        with politely(self._task):
            self._services.forge.acknowledge(self._asked)
        if (why := self._in_the_way()) is not None:
            verdict = Verdict(kind="no_change", reasons=(f"nothing was begun: {why}; `/coder fix --force` does",))
            return self._finish(verdict, Outcome(kind="failed", reason=why), None)
        with politely(self._task):
            self._services.forge.mark(self._task, "running")
        if (ended := self._ended()) is not None:
            return self._pause(ended)
        return self._work(self._prepare())

    def _work(self, ground: Ground) -> RunResult:
        """Rounds of work and proof, and the way out; once more when others pushed to the branch meanwhile."""
        task, services, journal = self._task, self._services, self._journal
        segment = Segment(task, services, journal, ground, policy=self._policy)
        segment.begin()
        for _ in range(MAX_MEETINGS):
            Rounds(task, services, journal, ground, show=self._show).prove()
            if (ended := self._ended()) is not None:
                return self._pause(ended)
            best = self._state.best
            delivery = Delivery(task, services, journal, ground, policy=self._policy, show=self._show)
            published = delivery.publish(best)
            if not isinstance(published, Moved):
                verdict = best.verified.verdict
                if published is not None:
                    more = delivery.announce(best, published)
                    verdict = verdict.model_copy(update={"reasons": (*verdict.reasons, *more)})
                return self._finish(verdict, best.outcome, published or self._state.pull_request)
            self._show("others pushed to the branch: putting the change on theirs")
            segment.meet(published.commit_sha, published.theirs_sha)
        raise WorkspaceError("others keep pushing to the branch while the change is tested; ask again when it is quiet")

    def _in_the_way(self) -> str | None:
        """Why it would be impolite to begin, asked before the first work is done."""
        if self._task.force or self._state.prepared is not None:
            return None
        try:
            return self._services.forge.unfit(self._task)
        except ForgeError as exc:
            logger.warning("cannot look who else works on it", extra={"run": self._task.run_id, "why": str(exc)})
            return None

    def _ended(self) -> Outcome | None:
        """How the segment ended before there was anything to prove: it waits for a person, or was stopped by one."""
        state = self._state
        if state.followup is not None and state.followup.kind == "stop":
            return Outcome(kind="stopped", reason=f"stopped by {state.followup.note.author}")
        if state.solved is not None and state.solved.outcome.kind in {"asked", "stopped"}:
            return state.solved.outcome
        return None

    def _pause(self, outcome: Outcome) -> RunResult:
        """End the segment without a verdict on the work; it is kept, and a follow-up goes on from it."""
        words = {"asked": "it waits for a person's word", "stopped": "it was stopped; the work so far is kept"}
        verdict = Verdict(kind="no_change", reasons=(words[outcome.kind],))
        return self._finish(verdict, outcome, self._state.pull_request)

    @property
    def _asked(self) -> Task:
        """The task as it was asked for last."""
        return on_behalf(self._task, self._state.followup)

    def report_failure(self, exc: CoderError) -> None:
        """Tell the people who wait that our own machinery failed; the journal stays for a continuation."""
        try:
            current = self._services.journals.open(self._task.run_id).digest
            if self._state.problem is None or current != self._journal.digest:
                return  # nobody waits for a stranger's run, and another process may be going on with ours
            mistake = isinstance(exc, InputError)
            self._show(f"stopped: {exc}" if mistake else f"stopped by an error of ours or of a service: {exc}")
        except CoderError:
            logger.warning("cannot report a failed run", extra={"run": self._task.run_id}, exc_info=True)

    # --- read -------------------------------------------------------------------------------------------------------

    def _read(self) -> Verdict | None:
        """Read the problem and the base commit; a refusal when the person who asked may not."""
        forge, task = self._services.forge, self._task
        if self._state.problem is not None:
            return None
        if not forge.may_write(task):
            reason = f"{task.requested_by} has no write permission to {task.repo.full_name}"
            return Verdict(kind="refused", reasons=(reason,))
        remote = forge.remote(task)
        read = ProblemRead(
            problem=forge.problem(task), base=self._named_base(), remote_url=remote.url, remote_is_local=remote.local
        )
        self._journal.append(read)
        self._show("preparing the environment")
        return None

    def _named_base(self) -> Base:
        """The commit to work from: the task's, else of the branch that `.coder.yml` of the default branch names."""
        forge, task = self._services.forge, self._task
        base = forge.base(task)
        if task.base_ref is not None:
            return base
        try:
            named = repo_config(Contents(self._fetched(base), base.sha)).base
        except InputError:  # told in `_prepare`, when somebody can be told
            named = None
        return base if named is None else forge.base(task.model_copy(update={"base_ref": named}))

    def _fetched(self, base: Base) -> Repository:
        services = self._services
        services.progress(f"fetching {base.sha[:12]}")
        return services.workspace.fetch(services.forge.remote(self._task), self._task.repo, base.sha)

    # --- prepare ----------------------------------------------------------------------------------------------------

    def _prepare(self) -> Ground:
        """Fetch the base commit, heed its `.coder.yml`, see to its image, find its tests."""
        base = self._journalled_problem().base
        repository = self._fetched(base)
        files = Contents(repository, base.sha)
        config = repo_config(files)
        self._narrow(config)
        services, policy = self._services, self._policy
        pack = repository.pack(base.sha, depth=policy.history)
        image = services.sandboxes.image_for(
            files, pack=pack, setup=policy.setup, progress=services.progress, wants=config.wants
        )
        tests = test_command(files, files.__getitem__, override=policy.test_command)
        prepared = Prepared(
            image=image.reference,
            image_digest=image.digest,
            setup_ok=image.setup_ok,
            setup_log=image.setup_log[-20_000:],
            test_command=tests.shown if tests else None,
        )
        if self._state.prepared is None or (image.setup_ok and not self._state.prepared.setup_ok):
            self._journal.append(prepared)
        self._check_setup(image)
        return Ground(repository, pack, image, tests, config)

    def _narrow(self, config: RepoConfig) -> None:
        """Take on what the repository says of itself; it only narrows what the operator allows."""
        limits = config.limits.within(self._task.limits)
        self._task = self._task.model_copy(update={"limits": limits})
        self._policy = config.policy(self._policy)
        self._services = replace(self._services, policy=self._policy)

    def _check_setup(self, image: Image) -> None:
        if not image.setup_stopped or self._policy.without_setup:
            return
        last = next(
            (line for line in reversed(image.setup_log.splitlines()) if line.startswith("! ")), "it gave no log"
        )
        raise InputError(
            f"the environment would not build: {last.removeprefix('! ')}; say how in `setup:` of .coder.yml "
            "(`coder doctor` helps), or have the operator set policy.without_setup"
        )

    # --- finish -----------------------------------------------------------------------------------------------------

    def _finish(self, verdict: Verdict, outcome: Outcome, pull_request: PullRequest | None) -> RunResult:
        """Tell everybody how it ended, then close the journal."""
        result = RunResult(
            run_id=self._task.run_id,
            verdict=verdict,
            outcome=outcome,
            spent=spent(self._journal.entries),
            pull_request=pull_request,
            journal_digest=self._journal.digest,
        )
        if self._state.problem is not None:  # a stranger's request is answered by nothing
            self._show("done", result)
            with politely(self._task):
                self._services.forge.finish(self._asked, result)
        self._journal.append(Finished(result=result))
        return result

    def _show(self, station: str, result: RunResult | None = None) -> None:
        """Say where the run stands, on the status comment and to whoever watches."""
        self._services.progress(station)
        limits = limits_now(self._task, self._journal.entries)
        body = status_body(
            task=self._asked.model_copy(update={"limits": limits}),
            station=station,
            spent=spent(self._journal.entries),
            result=result,
            redact=self._services.redact_fully,
        )
        with politely(self._task):
            self._services.forge.status(self._task, body)

    def _report(self, entry: Entry) -> None:
        """Now and then, while the model works."""
        if isinstance(entry.event, Answered) and entry.event.step % STEPS_BETWEEN_REPORTS == 0:
            self._show("working")

    def _journalled_problem(self) -> ProblemRead:
        if (problem := self._state.problem) is None:
            raise JournalError(f"run {self._task.run_id} goes on without having read its problem")
        return problem
