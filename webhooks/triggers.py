"""Which events ask for something: pure functions from an event and the rules to a request, or to a refusal with its reason."""

import re
from dataclasses import replace
from typing import Final

from coder.forge.protocol import CHECK_NAME
from webhooks import commands
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
from webhooks.fields import MAX_TEXT, OddFieldError, optional
from webhooks.options import OptionError, Options, understood
from webhooks.request import STARTS, Request, What
from webhooks.rules import Refusal, Rules, handle, is_allowed, same_label

FORCE: Final = "--force"
_MAX_TITLE: Final = 200
_OURS = Refusal("our own event")


def asked(event: Event, rules: Rules) -> Request | Refusal:
    """What `event` asks for, or why that is nothing."""
    if isinstance(event, Unsupported):
        return Refusal(f"nothing reacts to {event.what}")
    if isinstance(event, Malformed):
        return Refusal(event.reason)
    return Refusal("a ping") if isinstance(event, Ping) else _asked(event, rules)


def _asked(event: Happening, rules: Rules) -> Request | Refusal:
    match event:
        case Labeled():
            return _labeled(event, rules)
        case Assigned():
            return _assigned(event, rules)
        case Opened() | Commented():
            return _written(event, rules)
        case Reviewed():
            return _reviewed(event, rules)
        case Dispatched():
            return _dispatched(event, rules)
        case _:
            return _checked(event, rules)


def _labeled(event: Labeled, rules: Rules) -> Request | Refusal:
    labels = rules.labels
    kind = next((one for one in ("fix", "plan", "auto", "heavy") if same_label(event.label, getattr(labels, one))), "")
    if not kind:
        return Refusal(f"label {event.label[:80]!r} is not {labels.fix!r}")
    if (refusal := _gate(event.repository, event.sender, rules)) is not None:
        return refusal
    # A label event has no id. A redelivery carries the same issue to the last byte; whatever happens between two
    # labellings (our own status comment at the least) changes it.
    request = _of_issue(
        event.repository,
        event.issue,
        event.sender,
        "plan" if kind == "plan" else "fix",
        identity=("labeled", getattr(labels, kind), str(event.sender.id), event.issue.snapshot),
        at=event.issue.updated_at,
    )
    request = replace(request, heavy=kind == "heavy", straight=kind in {"auto", "heavy"})
    return _unfit(request, event.issue, event.sender, rules) or request


def _assigned(event: Assigned, rules: Rules) -> Request | Refusal:
    if not _is_ours(event.assignee, rules):
        return Refusal(f"assigned to {event.assignee.login[:80]!r}, not to us")
    if (refusal := _gate(event.repository, event.sender, rules)) is not None:
        return refusal
    identity = ("assigned", str(event.sender.id), event.issue.snapshot)
    request = _of_issue(
        event.repository, event.issue, event.sender, "fix", identity=identity, at=event.issue.updated_at
    )
    return _unfit(request, event.issue, event.sender, rules) or request


def _written(event: Opened | Commented, rules: Rules) -> Request | Refusal:
    """What a comment, or a new issue's text, asks for."""
    # Ours first: our own status comment names commands, and must not even count as one that was misspelt.
    if _is_ours(event.sender, rules) or _is_ours(event.author, rules):
        return Refusal("our own comment")
    said = commands.parse(event.body, rules.handles)
    if said is None:
        return Refusal("no command in the comment")
    if event.author.id != event.sender.id:
        return Refusal("the comment's author did not send the event")
    if isinstance(event, Opened):
        identity: tuple[str, ...] = ("opened", str(event.issue.number))
        request = _of_issue(
            event.repository, event.issue, event.sender, "say", identity=identity, at=event.issue.updated_at
        )
        return _spoken(request, said, event.issue, event.sender, rules)
    request = _of_issue(
        event.repository,
        event.issue,
        event.sender,
        "say",
        identity=("comment", str(event.comment_id)),
        at=event.created_at,
    )
    request = replace(request, comment_id=event.comment_id, followup=f"comment-{event.comment_id}")
    if event.review_id is not None and isinstance(said, commands.Mention):
        # A review and its comments on lines are one job, whichever delivery comes first.
        identity = ("review", str(event.review_id))
        request = replace(request, what="review", followup=f"review-{event.review_id}", identity=identity)
    request = replace(request, review_id=event.review_id)
    return _spoken(request, said, event.issue, event.sender, rules)


def _spoken(
    request: Request,
    said: commands.Command | commands.Mention | commands.UnknownVerb,
    issue: IssueFacts,
    sender: Actor,
    rules: Rules,
) -> Request | Refusal:
    refusal = _gate(request.repository, sender, rules)
    if refusal is not None:
        return refusal
    if isinstance(said, commands.UnknownVerb):
        what = f"There is no verb `{_name(said.verb)}`." if said.verb else "A verb is missing."
        return replace(request, what="help", problem=what)
    if isinstance(said, commands.Mention):
        unfit = _unfit(request, issue, sender, rules)
        return replace(request, words=said.text, leads=said.leads, unfit=unfit.reason if unfit else "")
    forced = FORCE in said.words.split()
    if said.verb in STARTS and (unfit := _unfit(request, issue, sender, rules, forced=forced)):
        return unfit
    try:
        options = understood(said.given, said.more)
    except OptionError as exc:
        return replace(request, what="help", problem=f"{str(exc)[:1].upper()}{str(exc)[1:]}.")
    return replace(request, what=said.verb, words=said.words, options=options, forced=forced)


def _reviewed(event: Reviewed, rules: Rules) -> Request | Refusal:
    if _is_ours(event.sender, rules) or _is_ours(event.author, rules):
        return Refusal("our own review")
    if event.author.id != event.sender.id:
        return Refusal("the review's author did not send the event")
    identity = ("review", str(event.review_id))
    request = _of_issue(event.repository, event.issue, event.sender, "review", identity=identity, at=event.submitted_at)
    request = replace(request, followup=f"review-{event.review_id}", words=event.body, review_id=event.review_id)
    said = commands.parse(event.body, rules.handles)
    if event.state == "changes_requested" and not isinstance(said, commands.Command):
        leads = isinstance(said, commands.Mention) and said.leads
        return _gate(event.repository, event.sender, rules) or replace(request, leads=leads)
    if said is None:
        return Refusal(f"a review that is {event.state[:40]!r} and says nothing to us")
    return _spoken(request, said, event.issue, event.sender, rules)


def _checked(event: ChecksFailed | ChecksPassed, rules: Rules) -> Request | Refusal:
    # Our own check says what our own tests say; acting on it would be talking to ourselves.
    ours = rules.own_login is not None and handle(event.app) == handle(rules.own_login)
    if ours or event.name == CHECK_NAME:
        return Refusal("our own check")
    if not is_allowed(event.repository.full_name, rules.allowed_repos):
        return Refusal(f"repository {event.repository.full_name} is not allowed")
    return _failed(event) if isinstance(event, ChecksFailed) else _passed(event)


def _failed(event: ChecksFailed) -> Request:
    # Of a fork's commit GitHub names no pull request, and its branch is none of ours, whatever it is called.
    branch = "" if event.same_repo is False else event.head_branch
    what = f"`{event.name}` ended with {event.conclusion} on {event.head_sha[:12]}"
    return Request(
        what="checks",
        repository=event.repository,
        number=event.pulls[0] if event.pulls else 0,
        sender=event.sender.login,
        identity=("checks", event.head_sha),
        # However many checks fail on a commit: what they say is looked at once.
        followup=f"checks-{event.head_sha[:16]}",
        requested_at=event.completed_at,
        is_pull_request=bool(event.pulls),
        head=Head(branch, event.head_sha, same_repo=event.same_repo is True),
        words="\n\n".join(filter(None, (f"{what}. {event.url}", event.summary))),
        title=f"{_name(event.name)} fails on {branch or event.head_sha[:12]}",
    )


def _passed(event: ChecksPassed) -> Request:
    """That somebody looks whether a draft may be made ready. The sender may be us: a suite's is who pushed."""
    return Request(
        what="passed",
        repository=event.repository,
        number=0,
        sender=event.sender.login,
        identity=("passed", event.digest),
        followup=f"passed-{event.digest[:16]}",
        requested_at="",
        head=Head("", event.head_sha, same_repo=True),
    )


def _dispatched(event: Dispatched, rules: Rules) -> Request | Refusal:
    if event.action != rules.dispatch:
        return Refusal(f"nothing reacts to repository_dispatch.{event.action[:80]}")
    if (refusal := _gate(event.repository, event.sender, rules)) is not None:
        return refusal
    try:
        return _from_program(event)
    except (OptionError, OddFieldError) as exc:
        return Refusal(f"client_payload: {exc}")


def _from_program(event: Dispatched) -> Request:
    number = event.payload.get("issue", 0)
    if not isinstance(number, int) or isinstance(number, bool) or not 0 <= number < 2**63:
        raise OddFieldError("`issue` is not the number of an issue")
    title, prompt = optional(event.payload, "title", _MAX_TITLE), optional(event.payload, "prompt", MAX_TEXT)
    if not number and not (title and prompt):
        raise OddFieldError("neither `issue` nor `title` and `prompt` are given")
    verb = optional(event.payload, "verb", 20) or "fix"
    if verb not in {"fix", "plan"}:
        raise OddFieldError(f"`verb` {verb!r} is neither `fix` nor `plan`")
    return Request(
        what="plan" if verb == "plan" else "fix",
        repository=event.repository,
        number=number,
        sender=event.sender.login,
        identity=("dispatch", str(event.sender.id), event.digest),
        followup=f"dispatch-{event.digest[:16]}",
        requested_at="",
        title=" ".join(title.split()),
        words=prompt,
        options=program_options(event.payload.get("options", {})),
    )


def program_options(given: object) -> Options:
    """The options of a program's request, whose names and values are those of comments.

    Raises:
        OptionError: One is not understood.
    """
    if not isinstance(given, dict) or not all(isinstance(v, str | int | float) for v in given.values()):
        raise OptionError("`options` is not an object of texts and numbers")
    return understood({str(name): str(value) for name, value in given.items()})


def _of_issue(
    repository: Repository,
    issue: IssueFacts,
    sender: Actor,
    what: What,
    *,
    identity: tuple[str, ...],
    at: str,
) -> Request:
    return Request(
        what=what,
        repository=repository,
        number=issue.number,
        sender=sender.login,
        identity=identity,
        followup=f"{identity[0]}-{issue.snapshot[:16]}",
        requested_at=at,
        is_pull_request=issue.is_pull_request,
        head=issue.head,
        is_open=issue.is_open,
    )


def _gate(repository: Repository, sender: Actor, rules: Rules) -> Refusal | None:
    if _is_ours(sender, rules):
        return _OURS
    if not is_allowed(repository.full_name, rules.allowed_repos):
        return Refusal(f"repository {repository.full_name} is not allowed")
    if sender.is_bot and sender.id not in rules.allowed_bots:
        return Refusal(f"{sender.login[:80]!r} is a bot that is not allowed (id {sender.id})")
    return None


def _unfit(request: Request, issue: IssueFacts, sender: Actor, rules: Rules, *, forced: bool = False) -> Refusal | None:
    """Why no work should begin there, if so."""
    kind = "pull request" if issue.is_pull_request else "issue"
    if forced:
        return None
    if issue.locked:
        return Refusal(f"{kind} #{issue.number} is locked", to=request)
    if not issue.is_open:
        return Refusal(f"{kind} #{issue.number} is closed", to=request)
    others = [one for one in issue.assignees if not one.is_bot and one.id != sender.id and not _is_ours(one, rules)]
    if others:
        return Refusal(f"{kind} #{issue.number} is assigned to {others[0].login}", to=request)
    return None


def _is_ours(actor: Actor, rules: Rules) -> bool:
    if rules.own_id is not None and actor.id == rules.own_id:
        return True
    return rules.own_login is not None and handle(actor.login) == handle(rules.own_login)


def _name(text: str) -> str:
    """A stranger's word, fit to stand in a comment of ours."""
    return re.sub(r"[^A-Za-z0-9 ._/()-]", "", text)[:80].strip() or "?"
