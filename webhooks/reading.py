"""From a payload to an event, read defensively.

Payloads are not validated against a schema on purpose: a third of GitHub's own published examples fail the official one.
What is missing or odd in a field that we need makes the event `Malformed`, with the field's name.
"""

import hashlib
import json
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Final

from coder.types import JsonObject
from webhooks.events import (
    Actor,
    Assigned,
    ChecksFailed,
    ChecksPassed,
    Commented,
    Dispatched,
    Event,
    Happening,
    Head,
    IssueFacts,
    Labeled,
    Malformed,
    Opened,
    Ping,
    Repository,
    Reviewed,
    Unsupported,
)
from webhooks.fields import (
    MAX_TEXT,
    OddFieldError,
    checked_name,
    clean,
    ends_with,
    ident,
    items,
    optional,
    parent_object,
    sha,
    text,
    time,
)

_FAILURES: Final = frozenset({"failure", "timed_out", "startup_failure"})
_SUCCESSES: Final = frozenset({"success", "neutral", "skipped"})
_SUBJECTS: Final = frozenset({"issue", "pull_request", "comment", "label", "review", "assignee"})


def read(name: str, payload: object) -> Event:
    """The event called `name` in GitHub's header, from its parsed body.

    The header is not signed, so a body that does not look like `name` is malformed, whatever the header says.
    """
    if not isinstance(payload, dict):
        return Malformed("the body is not a JSON object")
    try:
        return _read(name, payload)
    except OddFieldError as exc:
        return Malformed(str(exc))
    except RecursionError:
        return Malformed("the body is nested too deep")


def _read(name: str, payload: JsonObject) -> Event:
    if name == "ping":
        return Ping()
    action = payload.get("action")
    shown = f".{clean(action, 40)}" if isinstance(action, str) else ""
    if name == "repository_dispatch":
        return _dispatched(payload)
    if name == "status":
        return _status(payload)
    if action == "completed" and name in _CHECKS:
        return _completed(name, payload)
    reader = _READERS.get((name, action)) if isinstance(action, str) else None
    return reader(payload) if reader is not None else Unsupported(f"{clean(name, 60)}{shown}")


def _only(payload: JsonObject, event: str, *allowed: str) -> None:
    """Refuse a body that carries what only another event's body does."""
    if (_SUBJECTS - set(allowed)) & set(payload):
        raise OddFieldError(f"the body is not of an {event} event")


def _labeled_issue(payload: JsonObject) -> Labeled:
    _only(payload, "issues", "issue", "label")
    return _labeled(payload, _issue)


def labeled_again(repository: Repository, issue: JsonObject, actor: JsonObject, label: str) -> Labeled:
    """The event of a labelling that was read instead of delivered.

    Raises:
        OddFieldError: The issue or the actor is not what GitHub should write.
    """
    facts = _facts(issue, is_pull_request=issue.get("pull_request") is not None)
    return Labeled(repository=repository, issue=facts, sender=_account(actor), label=label)


def _labeled_pull(payload: JsonObject) -> Labeled:
    _only(payload, "pull_request", "pull_request", "label")
    return _labeled(payload, _pull)


def _labeled(payload: JsonObject, subject: Callable[[JsonObject, Repository], IssueFacts]) -> Labeled:
    repository = _repository(payload)
    return Labeled(
        repository=repository,
        issue=subject(payload, repository),
        sender=_actor(payload, "sender"),
        label=text(parent_object(payload, "label"), "name", 200),
    )


def _assigned_issue(payload: JsonObject) -> Assigned:
    _only(payload, "issues", "issue", "assignee")
    return _assigned(payload, _issue)


def _assigned_pull(payload: JsonObject) -> Assigned:
    _only(payload, "pull_request", "pull_request", "assignee")
    return _assigned(payload, _pull)


def _assigned(payload: JsonObject, subject: Callable[[JsonObject, Repository], IssueFacts]) -> Assigned:
    repository = _repository(payload)
    return Assigned(
        repository=repository,
        issue=subject(payload, repository),
        sender=_actor(payload, "sender"),
        assignee=_actor(payload, "assignee"),
    )


def _opened(payload: JsonObject) -> Opened:
    _only(payload, "issues", "issue")
    repository = _repository(payload)
    issue = parent_object(payload, "issue")
    return Opened(
        repository=repository,
        issue=_issue(payload, repository),
        sender=_actor(payload, "sender"),
        author=_actor(issue, "user"),
        body=text(issue, "body", MAX_TEXT, blank=True),
    )


def _commented(payload: JsonObject) -> Commented:
    _only(payload, "issue_comment", "issue", "comment")
    repository = _repository(payload)
    issue = _issue(payload, repository)
    comment = parent_object(payload, "comment")
    home = comment.get("issue_url")
    if isinstance(home, str) and not ends_with(home, f"/repos/{repository.full_name}/issues/{issue.number}"):
        raise OddFieldError("the comment belongs to another issue")
    return _comment(payload, comment, repository, issue)


def _review_commented(payload: JsonObject) -> Commented:
    _only(payload, "pull_request_review_comment", "pull_request", "comment")
    repository = _repository(payload)
    issue = _pull(payload, repository)
    comment = parent_object(payload, "comment")
    home = comment.get("pull_request_url")
    if isinstance(home, str) and not ends_with(home, f"/repos/{repository.full_name}/pulls/{issue.number}"):
        raise OddFieldError("the comment belongs to another pull request")
    review = comment.get("pull_request_review_id")
    return _comment(payload, comment, repository, issue, None if review is None else ident(comment, _REVIEW_ID))


def _comment(
    payload: JsonObject, comment: JsonObject, repository: Repository, issue: IssueFacts, review_id: int | None = None
) -> Commented:
    return Commented(
        repository=repository,
        issue=issue,
        sender=_actor(payload, "sender"),
        author=_actor(comment, "user"),
        comment_id=ident(comment, "id"),
        body=text(comment, "body", MAX_TEXT, blank=True),
        created_at=time(comment, "created_at"),
        review_id=review_id,
    )


def _reviewed(payload: JsonObject) -> Reviewed:
    _only(payload, "pull_request_review", "pull_request", "review")
    repository = _repository(payload)
    review = parent_object(payload, "review")
    return Reviewed(
        repository=repository,
        issue=_pull(payload, repository),
        sender=_actor(payload, "sender"),
        author=_actor(review, "user"),
        review_id=ident(review, "id"),
        state=text(review, "state", 40).lower(),
        body=text(review, "body", MAX_TEXT, blank=True),
        submitted_at=time(review, "submitted_at"),
    )


def _completed(name: str, payload: JsonObject) -> Event:
    """A check's end: of all that is no failure, a whole suite that passed."""
    _only(payload, name)
    check = parent_object(payload, name)
    conclusion = optional(check, "conclusion", 40)
    # A single check that passes says nothing of the others; its suite's end does.
    if conclusion in _SUCCESSES and name != "check_run":
        return _passed(payload, check, optional(check, "name", 200) or name, sha(check, "head_sha"))
    if conclusion not in _FAILURES:
        return Unsupported(f"{name}.completed with {conclusion or 'no conclusion'}")
    repository = _repository(payload)
    suite = check.get("check_suite")
    branch = optional(check, "head_branch", 255) or (optional(suite, "head_branch", 255) if suite else "")
    output, app = check.get("output"), check.get("app")
    source, pulls = check.get("head_repository"), _pulls_of(check, repository)
    return ChecksFailed(
        repository=repository,
        sender=_actor(payload, "sender"),
        name=optional(check, "name", 200) or optional(app, "name", 200) or name,
        conclusion=conclusion,
        head_sha=sha(check, "head_sha"),
        head_branch=branch,
        app=optional(app, "slug", 100),
        pulls=pulls,
        same_repo=source.get("id") == repository.id if isinstance(source, dict) else True if pulls else None,
        url=optional(check, "html_url", 500),
        summary="\n\n".join(filter(None, (optional(output, part, 10_000) for part in ("title", "summary", "text")))),
        completed_at=optional(check, "completed_at", 40) or optional(check, "updated_at", 40),
    )


def _status(payload: JsonObject) -> Event:
    """A commit status, as CI outside of GitHub sends it."""
    _only(payload, "status")
    state, head_sha = text(payload, "state", 40), sha(payload, "sha")
    name = optional(payload, "context", 200) or "status"
    if state == "success":
        return _passed(payload, payload, name, head_sha)
    if state not in {"failure", "error"}:
        return Unsupported(f"status with {state}")
    tips = [one for one in items(payload, "branches", 10) if optional(one.get("commit"), "sha", 64) == head_sha]
    return ChecksFailed(
        repository=_repository(payload),
        sender=_actor(payload, "sender"),
        name=name,
        conclusion=state,
        head_sha=head_sha,
        head_branch=optional(tips[0], "name", 255) if tips else "",
        app="",
        pulls=(),
        same_repo=True if tips else None,
        url=optional(payload, "target_url", 500),
        summary=optional(payload, "description", 1_000),
        completed_at=optional(payload, "updated_at", 40),
    )


def _passed(payload: JsonObject, check: JsonObject, name: str, head_sha: str) -> ChecksPassed:
    whole = f"{head_sha} {name} {check.get('id')} {optional(check, 'updated_at', 40)}"
    return ChecksPassed(
        repository=_repository(payload),
        sender=_actor(payload, "sender"),
        name=name,
        head_sha=head_sha,
        app=optional(check.get("app"), "slug", 100),
        digest=hashlib.sha256(whole.encode()).hexdigest(),
    )


def _pulls_of(check: JsonObject, repository: Repository) -> tuple[int, ...]:
    """Pull requests whose base **and** head are here."""
    found = []
    for pull in items(check, "pull_requests", 50):
        sides = [pull.get(side) for side in ("base", "head")]
        repos = [side.get("repo") if isinstance(side, dict) else None for side in sides]
        if all(isinstance(repo, dict) and repo.get("id") == repository.id for repo in repos):
            found.append(ident(pull, "number"))
    return tuple(found)


def _dispatched(payload: JsonObject) -> Dispatched:
    _only(payload, "repository_dispatch")
    given = payload.get("client_payload")
    whole = json.dumps(given, sort_keys=True, separators=(",", ":"))
    return Dispatched(
        repository=_repository(payload),
        sender=_actor(payload, "sender"),
        action=text(payload, "action", 100),
        payload=given if isinstance(given, dict) else {},
        digest=hashlib.sha256(whole.encode()).hexdigest(),
    )


def _repository(payload: JsonObject) -> Repository:
    return repository_of(parent_object(payload, "repository"))


def repository_of(repository: JsonObject) -> Repository:
    """A repository as GitHub writes it.

    Raises:
        OddFieldError: It is not one.
    """
    owner, name = text(parent_object(repository, "owner"), "login", 100), text(repository, "name", 100)
    for part in (owner, name):
        checked_name(part)
    full_name = repository.get("full_name", f"{owner}/{name}")
    if not isinstance(full_name, str) or full_name.lower() != f"{owner}/{name}".lower():
        raise OddFieldError("repository.full_name is not its owner and name")
    branch = optional(repository, "default_branch", 255)
    return Repository(id=ident(repository, "id"), owner=owner, name=name, default_branch=branch)


def _issue(payload: JsonObject, repository: Repository) -> IssueFacts:
    issue = parent_object(payload, "issue")
    home = issue.get("repository_url")
    if isinstance(home, str) and not ends_with(home, f"/repos/{repository.full_name}"):
        raise OddFieldError("the issue belongs to another repository")
    return _facts(issue, is_pull_request=issue.get("pull_request") is not None)


def _pull(payload: JsonObject, repository: Repository) -> IssueFacts:
    pull = parent_object(payload, "pull_request")
    base = parent_object(parent_object(pull, "base"), "repo")
    if base.get("id") != repository.id:
        raise OddFieldError("the pull request belongs to another repository")
    head = parent_object(pull, "head")
    source = head.get("repo")  # null when the fork is gone
    same = isinstance(source, dict) and source.get("id") == repository.id
    return _facts(pull, is_pull_request=True, head=Head(text(head, "ref", 255), sha(head, "sha"), same))


def _facts(issue: JsonObject, *, is_pull_request: bool, head: Head | None = None) -> IssueFacts:
    whole = json.dumps(issue, sort_keys=True, separators=(",", ":"))
    return IssueFacts(
        number=ident(issue, "number"),
        is_open=issue.get("state") == "open",
        locked=issue.get("locked") is not False and issue.get("locked") is not None,
        is_pull_request=is_pull_request,
        updated_at=time(issue, "updated_at"),
        snapshot=hashlib.sha256(whole.encode()).hexdigest(),
        author=_actor(issue, "user") if isinstance(issue.get("user"), dict) else None,
        head=head,
        assignees=tuple(_account(one) for one in items(issue, "assignees", 20)),
    )


def _actor(payload: JsonObject, key: str) -> Actor:
    return _account(parent_object(payload, key))


def _account(account: JsonObject) -> Actor:
    return Actor(id=ident(account, "id"), login=text(account, "login", 100), is_bot=account.get("type") != "User")


_REVIEW_ID: Final = "pull_request_review_id"
_CHECKS: Final = frozenset({"check_run", "check_suite", "workflow_run"})
_READERS: Final[Mapping[tuple[str, str], Callable[[JsonObject], Happening]]] = MappingProxyType(
    {
        ("issues", "labeled"): _labeled_issue,
        ("issues", "assigned"): _assigned_issue,
        ("issues", "opened"): _opened,
        ("issue_comment", "created"): _commented,
        ("pull_request", "labeled"): _labeled_pull,
        ("pull_request", "assigned"): _assigned_pull,
        ("pull_request_review", "submitted"): _reviewed,
        ("pull_request_review_comment", "created"): _review_commented,
    }
)
HEARD: Final = (
    *_READERS,
    *((name, "completed") for name in sorted(_CHECKS)),
    ("status", ""),
    ("repository_dispatch", ""),
)
"""Every event that may lead to something, with its action."""
