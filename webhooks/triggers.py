"""Which events start a run: pure functions from an event and the rules to a task, or to a refusal with its reason."""

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass

from coder.types import Limits, RepoRef, Task
from webhooks import commands
from webhooks.events import Actor, Commented, Event, IssueFacts, Labeled, Malformed, Repository, Unsupported

RUN_ID = re.compile(r"gh\d{1,19}-\d{1,19}-[0-9a-f]{16}", re.ASCII)
"""What a run id looks like: repository id, issue number, and a digest of the event; safe in paths and labels."""


@dataclass(frozen=True, slots=True)
class Rules:
    """Who and what may start a run. Permission on GitHub is asked later, by the run itself, before any work."""

    label: str
    mention: str
    allowed_repos: tuple[str, ...]
    """`owner/name`, `owner/*` or `*`, in any case. None allowed is none: a secret does not say whose money it is."""
    model: str
    limits: Limits
    own_id: int | None = None
    """Our own account; its events never trigger anything."""
    own_login: str | None = None
    allowed_bots: tuple[int, ...] = ()
    """Account ids of bots that may ask."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why an event starts nothing."""

    reason: str


def decide(event: Event, rules: Rules) -> Task | Refusal:
    """The task that `event` asks for, or why there is none. The same event always gives the same run id."""
    if isinstance(event, Labeled):
        return _labeled(event, rules)
    if isinstance(event, Commented):
        return _commented(event, rules)
    if isinstance(event, Unsupported):
        return Refusal(f"nothing reacts to {event.what}")
    if isinstance(event, Malformed):
        return Refusal(event.reason)
    return Refusal("a ping")


def _labeled(event: Labeled, rules: Rules) -> Task | Refusal:
    if not _same_label(event.label, rules.label):
        return Refusal(f"label {event.label[:80]!r} is not {rules.label!r}")
    refusal = _gate(event.repository, event.sender, event.issue, rules)
    if refusal is not None:
        return refusal
    # A label event has no id. A redelivery carries the same issue to the last byte; whatever happens between two
    # labellings (our own status comment at the least) changes it.
    identity = ("labeled", rules.label, str(event.sender.id), event.issue.snapshot)
    return _task(event, identity, requested_at=event.issue.updated_at, rules=rules)


def _commented(event: Commented, rules: Rules) -> Task | Refusal:
    handles = [rules.mention, *([_handle(rules.own_login)] if rules.own_login else [])]
    # Ours first: our own status comment names commands, and must not even count as one that was misspelt.
    if _is_ours(event.sender, rules) or _is_ours(event.author, rules):
        return Refusal("our own comment")
    asked = commands.parse(event.body, handles)
    if asked is None:
        return Refusal("no command in the comment")
    if isinstance(asked, commands.UnknownVerb):
        known = ", ".join(commands.VERBS)
        return Refusal(f"unknown verb {asked.verb!r}; known: {known}" if asked.verb else f"no verb; known: {known}")
    if event.author.id != event.sender.id:
        return Refusal("the comment's author did not send the event")
    refusal = _gate(event.repository, event.sender, event.issue, rules)
    if refusal is not None:
        return refusal
    identity = ("comment", str(event.comment_id))
    return _task(event, identity, requested_at=event.created_at, rules=rules, comment_id=event.comment_id)


def _gate(repository: Repository, sender: Actor, issue: IssueFacts, rules: Rules) -> Refusal | None:
    if _is_ours(sender, rules):
        return Refusal("our own event")
    if not is_allowed(repository.full_name, rules.allowed_repos):
        return Refusal(f"repository {repository.full_name} is not allowed")
    if sender.is_bot and sender.id not in rules.allowed_bots:
        return Refusal(f"{sender.login[:80]!r} is a bot that is not allowed (id {sender.id})")
    return _unfit(issue)


def _unfit(issue: IssueFacts) -> Refusal | None:
    if issue.is_pull_request:
        return Refusal(f"#{issue.number} is a pull request; only issues are worked on")
    if not issue.is_open:
        return Refusal(f"issue #{issue.number} is closed")
    if issue.locked:
        return Refusal(f"issue #{issue.number} is locked")
    return None


def is_allowed(full_name: str, patterns: Sequence[str]) -> bool:
    """Whether one of `patterns` (`owner/name`, `owner/*`, `*`) names the repository."""
    name = full_name.lower()
    owner = name.partition("/")[0]
    return any(pattern.lower() in {"*", f"{owner}/*", name} for pattern in patterns)


def _is_ours(actor: Actor, rules: Rules) -> bool:
    if rules.own_id is not None and actor.id == rules.own_id:
        return True
    return rules.own_login is not None and _handle(actor.login) == _handle(rules.own_login)


def _handle(login: str) -> str:
    return login.lower().removesuffix("[bot]")


def _same_label(given: str, wanted: str) -> bool:
    # GitHub's labels ignore case. Folding beyond ASCII would let look-alikes in.
    return given == wanted or (given.isascii() and wanted.isascii() and given.lower() == wanted.lower())


def _task(
    event: Labeled | Commented,
    identity: tuple[str, ...],
    *,
    requested_at: str,
    rules: Rules,
    comment_id: int | None = None,
) -> Task:
    digest = hashlib.sha256("\n".join(identity).encode()).hexdigest()[:16]
    return Task(
        run_id=f"gh{event.repository.id}-{event.issue.number}-{digest}",
        repo=RepoRef(owner=event.repository.owner, name=event.repository.name),
        kind="issue",
        number=event.issue.number,
        requested_by=event.sender.login,
        requested_at=requested_at,
        comment_id=comment_id,
        model=rules.model,
        limits=rules.limits,
    )
