"""The last station of a run: its change as a commit on a branch, and the pull request for it."""

import hashlib
import json
import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from urllib.parse import quote

from coder.errors import ForgeError, InputError, JournalError, PermissionDeniedError, WorkspaceError
from coder.forge.protocol import CheckReport
from coder.policy import Policy
from coder.publish.account import Account
from coder.publish.body import commit_message, is_draft, pull_request_body, pull_request_title
from coder.publish.check_run import check_report
from coder.publish.evidence import statement
from coder.publish.made_in import made_in
from coder.publish.offer import offer
from coder.publish.sections import VERDICT_WORDS
from coder.publish.template import template_path
from coder.publish.texts import Texts
from coder.services import Ground, Services
from coder.trace.attempts import of_attempt
from coder.trace.events import Event, ProblemRead, Published, Solved
from coder.trace.journal import Journal
from coder.trace.state import Round, RunState, spent, state_of
from coder.types import Followup, JsonObject, Patch, Proposal, PullRequest, Submission, Task
from coder.workspace.branch import branch_name

logger = logging.getLogger(__name__)


_WAITS = "the pull request stays a draft until the checks of its commit are green"
_WAITS_FOR_PEOPLE = "the pull request stays a draft until it is made ready"
_NO_CHECK = "no check began on the pushed commit, though there are some on its base: start them by hand"


@dataclass(frozen=True, slots=True)
class Moved:
    """Other people pushed to the branch while we worked, so that our commit does not fit on it any more."""

    commit_sha: str
    theirs_sha: str


class Delivery:
    """Publishes the best round of a segment; everything is looked for before it is made."""

    def __init__(
        self,
        task: Task,
        services: Services,
        journal: Journal,
        ground: Ground,
        *,
        policy: Policy,
        show: Callable[[str], None],
    ) -> None:
        self._task, self._services, self._journal, self._ground = task, services, journal, ground
        self._policy, self._show = policy, show

    @property
    def _state(self) -> RunState:
        return state_of(self._journal.events)

    def publish(self, best: Round) -> PullRequest | Moved | None:
        """Commit, push, open or renew the pull request; None when the verdict is not one to publish.

        Raises:
            PermissionDeniedError: Who asked for this may not write to the repository any more.
        """
        services, state = self._services, self._state
        if state.published is not None:
            return state.published.pull_request
        if best.patch is None or best.verified.verdict.kind not in self._policy.publish:
            return None
        if self._problem().base.foreign:
            return None  # `keep` offers it
        asked = on_behalf(self._task, state.followup)
        if not services.forge.may_write(asked):
            raise PermissionDeniedError(
                f"{asked.requested_by} lost write permission to {asked.repo.full_name}: nothing is pushed"
            )
        self._show("publishing")
        commit = self._commit(best.patch.patch, best)
        proposal = self._proposal(best.patch.patch, best, commit)
        if services.dry_run is not None:
            pull_request = self._written(services.dry_run, best, proposal, commit)
        else:
            pushed = self._push(proposal, commit)
            if isinstance(pushed, Moved):
                return pushed
            pull_request = pushed
        self._journal.append(Published(pull_request=pull_request))
        return pull_request

    def keep(self, best: Round) -> str:
        """Put work that is not worth a pull request onto a branch of its own; its name, empty where there is none.

        A run that was killed makes the same commit again and finds its branch there.
        """
        services, task, patch = self._services, self._task, best.patch
        if self._problem().base.foreign:
            with politely(task):
                self._offer(best)
            return ""
        wanted = self._policy.keep_work == "branch" and services.dry_run is None
        # A push starts what workflows a branch has: changed ones, and all that is protected, stay in the journal.
        if not wanted or patch is None or not patch.patch.files or patch.patch.flagged:
            return ""
        segment = len(self._state.segments)
        name = f"{branch_name(task, self._problem().problem.title)}-wip-{run_mark(task.run_id)}"
        name = f"{name}-{segment}" if segment else name
        try:
            if not services.forge.may_write(on_behalf(task, self._state.followup)):
                return ""
            self._ground.repository.push(services.forge.remote(task), self._commit(patch.patch, best), name)
        except (ForgeError, WorkspaceError) as exc:
            logger.warning("cannot keep unfinished work", extra={"run": task.run_id, "why": str(exc)})
            return ""
        return name

    def _offer(self, best: Round) -> None:
        """Show the change where its pull request is: its branch is in a fork, and our own branches start our CI."""
        patch, verdict = best.patch, best.verified.verdict
        if patch is None or not patch.patch.files or verdict.kind not in self._policy.publish:
            return
        text = offer(
            Texts(self._services.redact_fully),
            verdict=verdict,
            base_sha=self._problem().base.sha,
            diff=self._journal.blob(patch.diff_blob).decode("utf-8", "replace"),
            submission=best.outcome.submission,
        )
        task = self._task
        self._services.forge.status(task.model_copy(update={"run_id": f"{task.run_id}.patch"}), text)

    def announce(self, best: Round, pull: PullRequest) -> tuple[str, ...]:
        """Say what was published where people look for it; what they should know besides, a sentence each.

        A check of the commit, who is asked for a review, an answer to each comment of a review. All of it is looked for
        before it is said, and none of it is worth a failed run.
        """
        forge, task, state = self._services.forge, self._task, self._state
        if self._services.dry_run is not None:
            return ()
        with politely(task):
            forge.checks.report(task, pull.commit_sha, self._report(best, pull.commit_sha))
        if pull.number is None:
            return ()
        config = self._ground.config
        if state.followup is None and (config.reviewers or config.labels):
            with politely(task):
                forge.introduce(task, pull.number, reviewers=config.reviewers, labels=config.labels)
        if state.followup is not None and state.followup.kind == "review":
            with politely(task):
                self._answer(state.followup, best, pull.number, pull.commit_sha)
        # Only the service watches on; a call of the command line is over.
        more = [_WAITS if self._services.answerable else _WAITS_FOR_PEOPLE] if pull.awaits_checks else []
        with politely(task):
            if forge.checks.missing(task, pull.commit_sha, self._problem().base.sha):
                more.append(_NO_CHECK)
        return tuple(more)

    def _report(self, best: Round, commit: str) -> CheckReport:
        """Our check of the commit: the verdict, what was run for it, and remarks on lines."""
        patch = best.patch.patch if best.patch else Patch(base_sha="", tree_sha="", diff="", files=())
        return check_report(self._account(patch, best, commit), redact=self._services.redact_fully)

    def _answer(self, review: Followup, best: Round, number: int, commit: str) -> None:
        """Answer each comment of a review with the commit that changed its file, and the review itself once."""
        forge, texts, state = self._services.forge, Texts(self._services.redact_fully), self._state
        before = state.reopened.head_sha if state.reopened else None
        changed = self._ground.repository.history.paths(before, commit) if before else ()
        submission = best.outcome.submission
        reasons = {entry.path: entry.reason for entry in submission.rationale} if submission else {}
        words = submission.summary if submission else "The work was not handed in."
        replies = {
            thread.comment_id: f"Changed in {commit}.\n\n{texts.quote(reasons.get(thread.path) or words, 1_000)}"
            if thread.path in changed
            else f"This file was not changed. In the model's words:\n\n{texts.quote(words, 1_000)}"
            for thread in review.threads
            if thread.note.trusted
        }
        forge.reply(self._task, number, replies)
        verdict = VERDICT_WORDS[best.verified.verdict.kind]
        by = texts.code(review.note.author, 60)
        text = f"Review by {by}, answered in {commit}. {verdict}\n\n{texts.quote(words, 3_000)}"
        where = self._task.model_copy(update={"run_id": f"{self._task.run_id}.{review.id}", "number": number})
        forge.status(where, text)

    def _proposal(self, patch: Patch, best: Round, commit: str) -> Proposal:
        """The pull request's words, made by us from the journal; the model's own words are marked as its own."""
        problem, state, redact = self._problem(), self._state, self._services.redact_fully
        account = self._account(patch, best, commit)
        submission = account.outcome.submission
        known = state.pull_request.branch if state.pull_request else branch_name(self._task, problem.problem.title)
        draft = is_draft(verdict=best.verified.verdict, patch=patch, reviewed=best.reviewed)
        draft = draft or self._ground.config.draft == "always" or self._policy.ready == "never"
        awaits = not draft and self._policy.ready == "checks" and self._services.dry_run is None
        awaits = awaits and expects_checks(self._task, self._services, self._ground, problem.base.sha)
        return Proposal(
            branch=known,
            base_ref=problem.base.ref,
            title=pull_request_title(problem=problem.problem, submission=submission, redact=redact, log=self._log()),
            body=pull_request_body(account, redact=redact),
            draft=draft or awaits,
            awaits_checks=awaits,
        )

    def _account(self, patch: Patch, best: Round, commit: str) -> Account:
        """All that is told of the change."""
        problem, ground, events = self._problem(), self._ground, of_attempt(self._journal.events)
        submission = whole_submission(events, best.outcome.submission)
        files = ground.repository.files(problem.base.sha)
        template = template_path(files)
        return Account(
            task=self._task,
            problem=problem.problem,
            base=problem.base,
            outcome=best.outcome.model_copy(update={"submission": submission}),
            patch=patch,
            verdict=best.verified.verdict,
            evidence=best.verified.evidence,
            spent=spent(self._journal.entries),
            model=self._services.model(self._task.model).profile.model,
            recorded=self._policy.recorded,
            events=self._journal.events,
            journal_digest=self._journal.digest,
            reviewed=best.reviewed,
            commit=commit,
            made_in=made_in(events, self._journal.blob),
            hosts=ground.image.egress,
            template=ground.repository.read(problem.base.sha, template).decode("utf-8", "replace") if template else "",
            trace_url=self._policy.trace_url.replace("{run}", quote(self._task.run_id, safe="")),
        )

    def _log(self) -> tuple[str, ...]:
        """How commits are titled here."""
        return self._ground.repository.subjects(self._problem().base.sha)

    def _commit(self, patch: Patch, best: Round) -> str:
        """The commit: equal for equal journals, so that a continued run pushes what the first one may have pushed."""
        problem, state, repository = self._problem(), self._state, self._ground.repository
        parent = state.reopened.head_sha if state.reopened else None
        merges = state.reopened.merges if state.reopened else None
        if parent is not None and merges is None and repository.tree_sha(parent) == patch.tree_sha:
            return parent  # nothing was changed: there is nothing to commit
        message = commit_message(
            task=on_behalf(self._task, state.followup),
            problem=problem.problem,
            submission=best.outcome.submission,
            verdict=best.verified.verdict,
            redact=self._services.redact_fully,
            log=self._log(),
        )
        if merges is not None:
            message = f"Merge {problem.base.ref} ({merges[:12]})\n{message.partition(chr(10))[2]}"
        author = self._services.forge.co_author(on_behalf(self._task, state.followup))
        written = next(e.ts for e in reversed(self._journal.entries) if e.event == best.verified)
        return repository.commit_tree(
            patch.tree_sha,
            parents=[parent or problem.base.sha, *([merges] if merges else [])],
            message=f"{message}\nCo-authored-by: {author}" if author else message,
            author_name=self._policy.author_name,
            author_email=self._policy.author_email,
            timestamp=int(datetime.fromisoformat(written).timestamp()),
        )

    def _push(self, proposal: Proposal, commit: str) -> PullRequest | Moved:
        services, task, repository = self._services, self._task, self._ground.repository
        remote = services.forge.remote(task)
        there = repository.branch_sha(remote, proposal.branch)
        reopened = self._state.reopened
        ours = reopened.head_sha if reopened else None
        if ours is not None and there not in {None, ours, commit}:
            return Moved(commit_sha=commit, theirs_sha=str(there))
        if ours is None and there not in {None, commit}:
            # An earlier run of the same issue left its branch; it is never overwritten.
            proposal = proposal.model_copy(update={"branch": f"{proposal.branch}-{run_mark(task.run_id)}"})
        repository.push(remote, commit, proposal.branch, replaces=ours)
        return services.forge.publish(task, proposal, commit)

    def _written(self, folder: Path, best: Round, proposal: Proposal, commit: str) -> PullRequest:
        """The pull request as files instead of on the forge."""
        texts, proof = Texts(self._services.redact_fully), best.verified
        evidence = statement(texts, proof.verdict, proof.evidence, journal_digest=self._journal.digest, commit=commit)
        diff = self._journal.blob(best.patch.diff_blob) if best.patch else b""
        return _files(folder, proposal, commit, diff, evidence)

    def _problem(self) -> ProblemRead:
        if (problem := self._state.problem) is None:
            raise JournalError(f"run {self._task.run_id} goes on without having read its problem")
        return problem


def expects_checks(task: Task, services: Services, ground: Ground, base_sha: str) -> bool:
    """Whether the repository's own checks have the last word on a draft."""
    try:
        return services.forge.checks.expected(task, base_sha, ground.repository.files(base_sha))
    except ForgeError as exc:
        logger.warning("cannot see whether checks are to come", extra={"run": task.run_id, "why": str(exc)})
        return True  # a draft can be made ready; a review that was asked for too early cannot be taken back


@contextmanager
def politely(task: Task, failure: type[ForgeError] = ForgeError) -> Iterator[None]:
    """For what is only said and not done: work that was paid for does not end because a comment cannot be edited."""
    try:
        yield
    except failure as exc:
        logger.warning("cannot tell how the run goes", extra={"run": task.run_id, "why": str(exc)})


def hand_over(task: Task, services: Services, state: RunState, review: Followup, why: str) -> None:
    """Tell people that it is their turn: a label on the issue, and once on the pull request what was done so far."""
    texts, pull = Texts(services.redact_fully), state.pull_request
    done = [f"- {one.kind} by {texts.code(one.note.author, 60)}" for one in state.segments]
    text = f"A person should look: {why}.\n\nAsked for so far:\n\n" + "\n".join(done)
    with politely(task):
        services.forge.mark(task, "needs-human")
        if pull is not None and pull.number is not None:
            where = task.model_copy(update={"run_id": f"{task.run_id}.{review.id}", "number": pull.number})
            services.forge.status(where, text)


def on_behalf(task: Task, followup: Followup | None) -> Task:
    """`task` as it was asked for last: by whom, and in which comment. A failed check asks for nobody but who began."""
    if followup is None or followup.kind == "check_failure":
        return task
    comment = None if followup.kind == "review" else followup.comment_id
    return task.model_copy(update={"requested_by": followup.note.author, "comment_id": comment})


def whole_submission(events: Sequence[Event], last: Submission | None) -> Submission | None:
    """What the model says of the whole change: the first segment's words and reasons, then what the last one added."""
    first = _first_submission(events)
    if first is None or last is None or first == last:
        return last or first
    reasons = {entry.path: entry for entry in (*first.rationale, *last.rationale)}
    return last.model_copy(
        update={
            "title": first.title,
            "summary": f"{first.summary}\n\nThen: {last.summary}",
            "rationale": tuple(reasons.values()),
            "expected_failure": first.expected_failure or last.expected_failure,
        }
    )


def _first_submission(events: Sequence[Event]) -> Submission | None:
    """What was handed in for the first publication; None as long as nothing is published."""
    handed_in = None
    for event in events:
        if isinstance(event, Solved):
            handed_in = event.outcome.submission or handed_in
        elif isinstance(event, Published):
            return handed_in
    return None


def run_mark(run_id: str) -> str:
    """A short mark of a run for names: eight characters of the hash of its id."""
    return hashlib.sha256(run_id.encode()).hexdigest()[:8]


def _files(folder: Path, proposal: Proposal, commit: str, diff: bytes, evidence: JsonObject) -> PullRequest:
    """The pull request as `title.txt`, `body.md`, `change.patch`, `evidence.json`."""
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
