"""One task, from what somebody asked for to a published, proven change. Read this file first.

Each station begins by looking at the journal: what is written there was done, and is not done again. So a run that
died at any instant is continued by calling `resolve` again with the same task.
"""

import hashlib
import json
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime
from pathlib import Path

from coder import __version__
from coder.errors import CoderError, ForgeError, InputError, JournalError, PermissionDeniedError
from coder.publish.body import commit_message, is_draft, pull_request_body, pull_request_title
from coder.publish.evidence import statement
from coder.publish.status import status_body
from coder.publish.texts import Texts
from coder.repo_config import RepoConfig, repo_config
from coder.rounds import Rounds
from coder.sandbox.protocol import Image
from coder.services import Ground, Services
from coder.trace.events import Answered, Entry, Finished, Prepared, ProblemRead, Published, Resumed, RunStarted
from coder.trace.state import Round, RunState, spent, state_of
from coder.types import Base, JsonObject, Outcome, Patch, Proposal, PullRequest, RunResult, Task, Verdict
from coder.verify.commands import test_command
from coder.workspace.branch import branch_name
from coder.workspace.contents import Contents
from coder.workspace.repository import Repository

logger = logging.getLogger(__name__)

STEPS_BETWEEN_REPORTS = 15
"""Model calls from one edit of the status comment to the next; GitHub asks for a second between writes."""


def resolve(task: Task, services: Services) -> RunResult:
    """Carry the task out, or go on with it; a finished one gives its result again.

    Raises:
        CoderError: Our own machinery failed. The journal is kept, and calling again goes on from it.
    """
    run = _Run(task, services)
    try:
        return run.resolve()
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

    def resolve(self) -> RunResult:
        if (done := self._state.finished) is not None:
            return done.result
        if self._journal.events:
            self._journal.append(Resumed(version=__version__))
            self._services.sandboxes.sweep(run_id=self._task.run_id)
        else:
            self._journal.append(RunStarted(task=self._task, version=__version__))
        refusal = self._read()
        if refusal is not None:
            return self._finish(refusal, Outcome(kind="failed", reason=refusal.reasons[0]), None)
        ground = self._prepare()
        Rounds(self._task, self._services, self._journal, ground, show=self._show).prove()
        best = self._state.best
        return self._finish(best.verified.verdict, best.outcome, self._publish(ground, best))

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
        with self._politely():
            forge.acknowledge(task)
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

    # --- publish ----------------------------------------------------------------------------------------------------

    def _publish(self, ground: Ground, best: Round) -> PullRequest | None:
        """Commit, push, open the pull request; None when the verdict is not one to publish."""
        services, task, published = self._services, self._task, self._state.published
        if published is not None:
            return published.pull_request
        if best.patch is None or best.verified.verdict.kind not in self._policy.publish:
            return None
        if not services.forge.may_write(task):
            raise PermissionDeniedError(
                f"{task.requested_by} lost write permission to {task.repo.full_name}: nothing is pushed"
            )
        self._show("publishing")
        proposal = self._proposal(best.patch.patch, best)
        commit = self._commit(ground.repository, best.patch.patch, best)
        if services.dry_run is not None:
            texts, proof = Texts(services.redact_fully), best.verified
            evidence = statement(
                texts, proof.verdict, proof.evidence, journal_digest=self._journal.digest, commit=commit
            )
            diff = self._journal.blob(best.patch.diff_blob)
            pull_request = _written(services.dry_run, proposal, commit, diff, evidence)
        else:
            pull_request = self._push(ground.repository, proposal, commit)
        self._journal.append(Published(pull_request=pull_request))
        return pull_request

    def _proposal(self, patch: Patch, best: Round) -> Proposal:
        """The pull request's words, made by us from the journal; the model's own words are marked as its own."""
        problem = self._journalled_problem()
        profile = self._services.model(self._task.model).profile
        body = pull_request_body(
            task=self._task,
            problem=problem.problem,
            base=problem.base,
            outcome=best.outcome,
            patch=patch,
            verdict=best.verified.verdict,
            evidence=best.verified.evidence,
            spent=spent(self._journal.entries),
            model=profile.model,
            recorded=self._policy.recorded,
            events=self._journal.events,
            journal_digest=self._journal.digest,
            redact=self._services.redact_fully,
        )
        title = pull_request_title(
            problem=problem.problem, submission=best.outcome.submission, redact=self._services.redact_fully
        )
        return Proposal(
            branch=branch_name(self._task, problem.problem.title),
            base_ref=problem.base.ref,
            title=title,
            body=body,
            draft=is_draft(verdict=best.verified.verdict, patch=patch),
        )

    def _commit(self, repository: Repository, patch: Patch, best: Round) -> str:
        """The commit: equal for equal journals, so that a continued run pushes what the first one may have pushed."""
        problem = self._journalled_problem()
        message = commit_message(
            task=self._task,
            problem=problem.problem,
            submission=best.outcome.submission,
            verdict=best.verified.verdict,
            redact=self._services.redact_fully,
        )
        written = next(e.ts for e in reversed(self._journal.entries) if e.event == best.verified)
        return repository.commit_tree(
            patch.tree_sha,
            parents=[problem.base.sha],
            message=message,
            author_name=self._policy.author_name,
            author_email=self._policy.author_email,
            timestamp=int(datetime.fromisoformat(written).timestamp()),
        )

    def _push(self, repository: Repository, proposal: Proposal, commit: str) -> PullRequest:
        services, task = self._services, self._task
        remote = services.forge.remote(task)
        if repository.branch_sha(remote, proposal.branch) not in {None, commit}:
            # An earlier run of the same issue left its branch; it is never overwritten.
            proposal = proposal.model_copy(update={"branch": f"{proposal.branch}-{run_mark(task.run_id)}"})
        repository.push(remote, commit, proposal.branch)
        return services.forge.publish(task, proposal, commit)

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
            with self._politely():
                self._services.forge.finish(self._task, result)
        self._journal.append(Finished(result=result))
        return result

    def _show(self, station: str, result: RunResult | None = None) -> None:
        """Say where the run stands, on the status comment and to whoever watches."""
        self._services.progress(station)
        body = status_body(
            task=self._task,
            station=station,
            spent=spent(self._journal.entries),
            result=result,
            redact=self._services.redact_fully,
        )
        with self._politely():
            self._services.forge.status(self._task, body)

    def _report(self, entry: Entry) -> None:
        """Now and then, while the model works."""
        if isinstance(entry.event, Answered) and entry.event.step % STEPS_BETWEEN_REPORTS == 0:
            self._show("working")

    @contextmanager
    def _politely(self) -> Iterator[None]:
        """For what is only said and not done: work that was paid for does not end because a comment cannot be edited."""
        try:
            yield
        except ForgeError as exc:
            logger.warning("cannot tell how the run goes", extra={"run": self._task.run_id, "why": str(exc)})

    def _journalled_problem(self) -> ProblemRead:
        if (problem := self._state.problem) is None:
            raise JournalError(f"run {self._task.run_id} goes on without having read its problem")
        return problem


def run_mark(run_id: str) -> str:
    """A short mark of a run for names: eight characters of the hash of its id."""
    return hashlib.sha256(run_id.encode()).hexdigest()[:8]


def _written(folder: Path, proposal: Proposal, commit: str, diff: bytes, evidence: JsonObject) -> PullRequest:
    """The pull request as files instead of on the forge: `title.txt`, `body.md`, `change.patch`, `evidence.json`."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "title.txt").write_text(proposal.title + "\n", encoding="utf-8")
        (folder / "body.md").write_text(proposal.body + "\n", encoding="utf-8")
        (folder / "change.patch").write_bytes(diff)
        (folder / "evidence.json").write_text(json.dumps(evidence, indent=1) + "\n", encoding="utf-8")
    except OSError as exc:
        raise InputError(
            f"cannot write the pull request to {folder}: {exc}; name a folder that can be written"
        ) from exc
    return PullRequest(branch=proposal.branch, commit_sha=commit, draft=proposal.draft, url=folder.resolve().as_uri())
