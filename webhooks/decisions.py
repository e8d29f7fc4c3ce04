"""From a request and what is going on already to what is done about it. Pure: event, rules and situation in, decision out.

The table in docs/events.md says the same in words.
"""

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Final, Literal

from coder.types import Followup, Note, RepoRef, Task
from webhooks.answers import config_text, enough_text, help_text
from webhooks.request import STARTS, Request, What, as_json
from webhooks.rules import Refusal, Rules
from webhooks.work import Chore, Work

RunState = Literal["none", "live", "waiting", "over"]


@dataclass(frozen=True, slots=True)
class Situation:
    """What is known of the run that a request is about: the latest of its issue, or the one that opened its pull request."""

    now: str
    """RFC 3339, for requests that carry no time of their own."""
    state: RunState = "none"
    """`waiting`: for a person's answer, or word on its plan."""
    task: Task | None = None
    """The run's task; None with `none`."""
    own_pull: bool = False
    """The request stands on a pull request that the run opened."""
    has_pull: bool = False
    rounds: tuple[str, ...] = ()
    """What was added to the run, each in some words."""
    check_followups: int = 0
    check_runs: int = 0
    """Runs that failed checks of the pull request began."""
    added_cost_usd: float = 0.0
    autofix: bool | None = None
    """What people said of automatic fixes; None is nothing."""
    autofix_by: str = ""
    """Who said it."""
    awaits: int = 0
    """The pull request that waits for the checks that passed."""
    doubtful: bool = False
    """What is live was asked for by somebody else a moment ago, and GitHub has not said yet whether they may."""
    asking: tuple[tuple[int, str], ...] = ()
    """Pull requests whose failed checks people asked to have fixed, and who did: for a check that names none."""


@dataclass(frozen=True, slots=True)
class Decision:
    """What is done: a job, chores, both; or nothing, for a reason."""

    work: Work | None = None
    chores: tuple[Chore, ...] = ()
    run_id: str | None = None
    reason: str = ""
    waits: bool = False
    """It is too early to decide."""


def decide(request: Request, situation: Situation, rules: Rules) -> Decision:
    """What `request` leads to."""
    if request.problem:
        return _answer(request, help_text(rules, request.problem), "asked for what there is not", once="help")
    if situation.doubtful and request.what not in _ANYTIME:
        # A stranger's word, which will come to nothing, must not stand in a permitted person's way.
        return Decision(reason="it is not known yet whether who asked before may", waits=True)
    if request.what in STARTS:
        return _started(request, situation, rules)
    return _HANDLERS[request.what](request, situation, rules)


def refused(refusal: Refusal) -> Decision:
    """Nothing, for a reason that a permitted person is told when it is polite to."""
    if refusal.to is None:
        return Decision(reason=refusal.reason)
    return _answer(refusal.to, f"Nothing was started: {refusal.reason}.", refusal.reason)


# --- a new run ------------------------------------------------------------------------------------------------------------


def _started(request: Request, situation: Situation, rules: Rules) -> Decision:
    if situation.state == "live" and situation.task is not None:
        return Decision(reason=f"run {situation.task.run_id} of this issue is not over yet")
    if request.what == "rebase" and situation.task is None:
        return _no_run(request)
    if request.what == "rebase" and situation.has_pull:
        return _followed(request, situation, rules, "rebase")
    if situation.own_pull:
        return _followed(request, situation, rules, "continue")
    if _approves(request, situation):
        return _followed(request, situation, rules, "approve")
    return _new_run(request, situation, rules)


def _approves(request: Request, situation: Situation) -> bool:
    """`fix` while a plan waits is a word on the plan."""
    task = situation.task
    return request.what == "fix" and situation.state == "waiting" and task is not None and task.mode == "plan"


def _new_run(request: Request, situation: Situation, rules: Rules) -> Decision:
    options = request.options
    model = options.model or (rules.heavy_model if request.heavy else None) or rules.model
    # `NAME@EFFORT` is the profile NAME.
    allowed = {(one or "").partition("@")[0] for one in (rules.model, rules.heavy_model, *rules.models)}
    if model.partition("@")[0] not in allowed:
        return _answer(request, help_text(rules, "That model may not be named here."), "a model that is not allowed")
    work = Work(task=_task(request, situation, rules, model))
    return Decision(work=work, chores=(_seen(work),), run_id=work.task.run_id)


def _task(request: Request, situation: Situation, rules: Rules, model: str) -> Task:
    options, limits = request.options, rules.limits
    cost = options.max_cost_usd or (rules.highest_cost_usd if request.heavy else limits.max_cost_usd)
    limits = limits.model_copy(
        update={
            "max_cost_usd": min(cost, rules.highest_cost_usd),
            "max_steps": min(options.max_steps or limits.max_steps, limits.max_steps),
            "max_minutes": min(options.max_minutes or limits.max_minutes, limits.max_minutes),
        }
    )
    plans = request.what == "plan" or (rules.plan_first and not request.straight and request.what != "checks")
    return Task(
        run_id=run_id_of(request),
        repo=RepoRef(owner=request.repository.owner, name=request.repository.name),
        kind="check_failure" if request.what == "checks" else "issue" if request.number else "prompt",
        number=request.number or None,
        prompt_title=request.title if not request.number else "",
        prompt=request.words if not request.number else "",
        review_id=request.review_id,
        requested_by=request.sender,
        requested_at=request.requested_at or situation.now,
        comment_id=request.comment_id,
        check_sha=request.head.sha if request.what == "checks" and request.head is not None else None,
        base_ref=options.base or _branch(request),
        mode="plan" if plans else "fix",
        force=request.forced,
        model=model,
        attempts=options.attempts,
        limits=limits,
    )


def _branch(request: Request) -> str | None:
    """Where a run on a pull request begins; what a delivery does not say, the forge knows (`pull/NUMBER/head`)."""
    if not request.is_pull_request:
        return None
    head = request.head
    return head.branch if head is not None and head.same_repo else f"pull/{request.number}/head"


def run_id_of(request: Request) -> str:
    """The id of the run that `request` would start: the same for redeliveries."""
    digest = hashlib.sha256("\n".join(request.identity).encode()).hexdigest()[:16]
    return f"gh{request.repository.id}-{request.number}-{digest}"


# --- what is added to a run -----------------------------------------------------------------------------------------------


def _followed(
    request: Request, situation: Situation, rules: Rules, kind: "_Kind", *, add_cost_usd: float = 0.0
) -> Decision:
    """The run goes on with what was said; once it has ended, or at once."""
    if situation.task is None:
        return _no_run(request)
    if len(situation.rounds) >= rules.max_followups:
        return _too_often(request, situation, rules, rules.max_followups)
    followup = _followup(request, kind, add_cost_usd)
    work = Work(task=situation.task, followup=followup)
    return Decision(work=work, chores=(_seen(work),), run_id=work.task.run_id)


_Kind = Literal["answer", "approve", "revise", "review", "check_failure", "continue", "rebase", "steer", "stop"]


def _followup(request: Request, kind: _Kind, add_cost_usd: float = 0.0) -> Followup:
    note = Note(author=request.sender, body=request.words, created_at=request.requested_at)
    return Followup(id=request.followup, kind=kind, note=note, add_cost_usd=add_cost_usd, comment_id=request.comment_id)


def _approved(request: Request, situation: Situation, rules: Rules) -> Decision:
    # A plan may have been posted a moment before its job is over: the approval waits behind it.
    planning = situation.state == "live" and situation.task is not None and situation.task.mode == "plan"
    if situation.state != "waiting" and not planning:
        return _answer(request, "Nothing waits for an approval here.", "nothing waits")
    return _followed(request, situation, rules, "approve")


def _revised(request: Request, situation: Situation, rules: Rules) -> Decision:
    if not request.words:
        return _answer(request, help_text(rules, "Say what to revise: `revise TEXT`."), "nothing to revise")
    if situation.state == "live":
        return _steered(request, situation)
    return _followed(request, situation, rules, "revise")


def _continued(request: Request, situation: Situation, rules: Rules) -> Decision:
    if situation.task is None:
        return _no_run(request)
    if situation.state == "live":
        return _answer(request, "The run is still at work.", "the run is not over")
    had = situation.task.limits.max_cost_usd + situation.added_cost_usd
    left = max(0.0, rules.highest_cost_usd - had)
    if request.options.add_cost_usd > left:
        text = f"This run has ${had:.2f}; the operator allows ${left:.2f} more."
        return _answer(request, text, "more dollars than the operator allows")
    return _followed(request, situation, rules, "continue", add_cost_usd=request.options.add_cost_usd)


def _said(request: Request, situation: Situation, rules: Rules) -> Decision:
    """Free text: to the run that works, to the one that waits, to the one whose pull request it stands on."""
    if situation.state == "live":
        return _steered(request, situation)
    if situation.state == "waiting":
        return _followed(request, situation, rules, "answer")
    if situation.own_pull and request.is_open:
        return _followed(request, situation, rules, "revise")
    if not request.leads:
        return Decision(reason="we are mentioned, not asked")
    if request.unfit:
        return refused(Refusal(request.unfit, to=request))
    return _started(request, situation, rules)


def _reviewed(request: Request, situation: Situation, rules: Rules) -> Decision:
    if not situation.own_pull and request.leads:
        # Of somebody else's pull request only what is said to us counts.
        return _said(request, situation, rules)
    if not situation.own_pull:
        return Decision(reason="a review of a pull request that no run of ours opened")
    if not request.is_open:
        return Decision(reason="a review of a pull request that is closed")
    return _followed(request, situation, rules, "review")


def _steered(request: Request, situation: Situation) -> Decision:
    if situation.task is None:
        return _no_run(request)
    return _chore(request, situation.task, "steer", "steer")


def _checked(request: Request, situation: Situation, rules: Rules) -> Decision:
    if situation.own_pull:
        return _own_checks(request, situation, rules)
    if not request.number and not (rules.fix_default_branch and _is_on_default(request)):
        looks = tuple(_look(request, number, by) for number, by in situation.asking)
        return Decision(chores=looks, reason="a failed check that belongs to no pull request of ours")
    if request.number and not situation.autofix:
        return Decision(reason="failed checks of a pull request that is not ours, and nobody asked for fixes")
    if situation.state == "live":
        return Decision(reason="a run is at work there already")
    # A program sends it; who asked for fixes there is whose permission counts.
    asked = replace(request, sender=situation.autofix_by) if request.number and situation.autofix_by else request
    if situation.check_runs >= rules.max_check_followups:
        return _too_often(asked, situation, rules, rules.max_check_followups)
    return _new_run(asked, situation, rules)


def _look(request: Request, number: int, by: str) -> Chore:
    """Somebody looks whether the commit is the head of a pull request from a fork, of which a check says nothing."""
    found = replace(request, number=number, is_pull_request=True, sender=by)
    sha = "" if request.head is None else request.head.sha
    marker = f"look-gh{request.repository.id}-{number}-{sha}"
    work = Work(task=_place(found, marker).model_copy(update={"base_ref": f"pull/{number}/head"}))
    return Chore(id=marker, kind="look", work=work, text=as_json(found), number=number)


def _is_on_default(request: Request) -> bool:
    return request.head is not None and request.head.branch == request.repository.default_branch != ""


def _own_checks(request: Request, situation: Situation, rules: Rules) -> Decision:
    if situation.autofix is False:
        return Decision(reason="automatic fixes are off here")
    if situation.state == "live":
        return Decision(reason="the run is at work: its next commit is checked anew")
    if situation.check_followups >= rules.max_check_followups:
        return _too_often(request, situation, rules, rules.max_check_followups)
    return _followed(request, situation, rules, "check_failure")


def _passed(request: Request, situation: Situation, _rules: Rules) -> Decision:
    if situation.task is None or not situation.awaits or request.head is None:
        return Decision(reason="no draft of ours waits for the checks of this commit")
    work = Work(task=situation.task)
    run, sha = situation.task.run_id, request.head.sha
    chore = Chore(id=f"ready:{run}:{request.followup}", kind="ready", work=work, number=situation.awaits, text=sha)
    return Decision(chores=(chore,), run_id=run)


# --- what the service does by itself ----------------------------------------------------------------------------------------


def _stopped(request: Request, situation: Situation, _rules: Rules) -> Decision:
    if situation.task is None or situation.state not in {"live", "waiting"}:
        return _answer(request, "Nothing is at work here.", "nothing to stop")
    return _chore(request, situation.task, "stop", "stop")


def _described(request: Request, situation: Situation, _rules: Rules) -> Decision:
    if situation.task is None:
        return _no_run(request)
    return _chore(request, situation.task, "describe", "answer", text=request.what)


def _switched(request: Request, situation: Situation, rules: Rules) -> Decision:
    word = request.words.strip(" .!`").lower()
    if word not in {"on", "off"}:
        return _answer(request, help_text(rules, "Say `autofix on` or `autofix off`."), "neither on nor off")
    task = situation.task or _task(request, situation, rules, rules.model)
    return _chore(request, task, "switch", "answer", text=word)


def _configured(request: Request, situation: Situation, rules: Rules) -> Decision:
    text = config_text(rules, request.repository.full_name, autofix=situation.autofix)
    return _answer(request, text, "asked for what is set")


def _helped(request: Request, _situation: Situation, rules: Rules) -> Decision:
    return _answer(request, help_text(rules), "asked for help")


def _no_run(request: Request) -> Decision:
    return _answer(request, "No run belongs to this yet.", "there is no run")


def _too_often(request: Request, situation: Situation, rules: Rules, limit: int) -> Decision:
    if request.what == "checks" and situation.task is not None:
        # A program asked; told is whoever asked for the run.
        request = replace(request, sender=situation.task.requested_by)
    told = _answer(request, enough_text(rules, limit, situation.rounds), f"{limit} rounds are the limit", once="enough")
    task = situation.task or told.chores[0].work.task
    work = Work(task=task.model_copy(update={"requested_by": request.sender}))
    return replace(told, chores=(*told.chores, Chore(id=f"hand:{told.chores[0].id}", kind="hand_over", work=work)))


def _answer(request: Request, text: str, reason: str, *, once: str = "") -> Decision:
    """A comment; `once` names one that is said once an issue, however often there is reason to."""
    at = f"gh{request.repository.id}-{request.number}"
    marker = f"{once}-{at}" if once else f"answer-{at}-{request.followup}"
    work = Work(task=_place(request, marker))
    chore = Chore(id=f"answer:{marker}", kind="answer", work=work, text=text, marker=marker)
    return Decision(chores=(chore,), reason=reason)


def _place(request: Request, marker: str) -> Task:
    """Where something was said, and by whom, as the forge takes it."""
    return Task(
        run_id=marker,
        repo=RepoRef(owner=request.repository.owner, name=request.repository.name),
        kind="issue",
        number=request.number or None,
        requested_by=request.sender,
        requested_at=request.requested_at,
        comment_id=request.comment_id,
        model=_NO_MODEL,
    )


def _chore(
    request: Request, task: Task, kind: Literal["steer", "stop", "describe", "switch"], prefix: str, *, text: str = ""
) -> Decision:
    as_followup: _Kind = "stop" if kind == "stop" else "steer"
    # It is said where it was asked, which may be the pull request and not the issue.
    work = Work(task=task, followup=_followup(request, as_followup))
    marker = f"{prefix}-gh{request.repository.id}-{request.number}-{request.followup}"
    chore = Chore(id=f"{kind}:{work.job_id}", kind=kind, work=work, text=text, marker=marker, number=request.number)
    return Decision(chores=(chore,), run_id=task.run_id)


def _seen(work: Work) -> Chore:
    return Chore(id=f"react:{work.job_id}", kind="react", work=work)


_NO_MODEL: Final = "-"
_ANYTIME: Final[frozenset[What]] = frozenset({"stop", "status", "explain", "autofix", "config", "help", "passed"})
"""What is said to a run however it came to be."""
_HANDLERS: Final[Mapping[What, Callable[[Request, Situation, Rules], Decision]]] = MappingProxyType(
    {
        "approve": _approved,
        "revise": _revised,
        "continue": _continued,
        "say": _said,
        "review": _reviewed,
        "checks": _checked,
        "passed": _passed,
        "stop": _stopped,
        "status": _described,
        "explain": _described,
        "autofix": _switched,
        "config": _configured,
        "help": _helped,
    }
)
