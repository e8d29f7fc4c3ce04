"""The last station of a run: its change as a commit on a branch, and the pull request for it."""

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from coder.errors import InputError, JournalError, PermissionDeniedError
from coder.policy import Policy
from coder.publish.body import commit_message, is_draft, pull_request_body, pull_request_title
from coder.publish.evidence import statement
from coder.publish.texts import Texts
from coder.services import Ground, Services
from coder.trace.events import Event, ProblemRead, Published, Solved
from coder.trace.journal import Journal
from coder.trace.state import Round, RunState, spent, state_of
from coder.types import Followup, JsonObject, Patch, Proposal, PullRequest, Submission, Task
from coder.workspace.branch import branch_name


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
        asked = on_behalf(self._task, state.followup)
        if not services.forge.may_write(asked):
            raise PermissionDeniedError(
                f"{asked.requested_by} lost write permission to {asked.repo.full_name}: nothing is pushed"
            )
        self._show("publishing")
        commit = self._commit(best.patch.patch, best)
        proposal = self._proposal(best.patch.patch, best)
        if services.dry_run is not None:
            pull_request = self._written(services.dry_run, best, proposal, commit)
        else:
            pushed = self._push(proposal, commit)
            if isinstance(pushed, Moved):
                return pushed
            pull_request = pushed
        self._journal.append(Published(pull_request=pull_request))
        return pull_request

    def _proposal(self, patch: Patch, best: Round) -> Proposal:
        """The pull request's words, made by us from the journal; the model's own words are marked as its own."""
        problem, state = self._problem(), self._state
        submission = whole_submission(self._journal.events, best.outcome.submission)
        body = pull_request_body(
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
            redact=self._services.redact_fully,
        )
        title = pull_request_title(problem=problem.problem, submission=submission, redact=self._services.redact_fully)
        known = state.pull_request.branch if state.pull_request else branch_name(self._task, problem.problem.title)
        return Proposal(
            branch=known,
            base_ref=problem.base.ref,
            title=title,
            body=body,
            draft=is_draft(verdict=best.verified.verdict, patch=patch) or self._ground.config.draft == "always",
        )

    def _commit(self, patch: Patch, best: Round) -> str:
        """The commit: equal for equal journals, so that a continued run pushes what the first one may have pushed."""
        problem, state, repository = self._problem(), self._state, self._ground.repository
        parent = state.reopened.head_sha if state.reopened else None
        if parent is not None and repository.tree_sha(parent) == patch.tree_sha:
            return parent  # nothing was changed: there is nothing to commit
        message = commit_message(
            task=on_behalf(self._task, state.followup),
            problem=problem.problem,
            submission=best.outcome.submission,
            verdict=best.verified.verdict,
            redact=self._services.redact_fully,
        )
        author = self._services.forge.co_author(on_behalf(self._task, state.followup))
        written = next(e.ts for e in reversed(self._journal.entries) if e.event == best.verified)
        return repository.commit_tree(
            patch.tree_sha,
            parents=[parent or problem.base.sha],
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
