"""`coder run`: the whole line for a developer in a checkout, shown as it goes."""

import getpass
import re
import secrets
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from pydantic import TypeAdapter, ValidationError
from rich.console import Console
from typing_extensions import override

from coder.app import Application, Options, sweep_orphans
from coder.display import Watcher, show_result
from coder.errors import CoderError, InputError
from coder.forge.github import GitHubForge
from coder.forge.local import LocalForge
from coder.forge.protocol import Forge
from coder.publish.attempt import attempt
from coder.run import resolve
from coder.settings import Settings
from coder.trace.events import Answered, Event, PatchTaken, RunStarted, Verified
from coder.trace.journal import Journal, utc_now
from coder.trace.state import state_of
from coder.types import Completion, Followup, Note, Problem, RepoRef, RunResult, Task
from coder.workspace.checkout import Checkout

_ISSUE = re.compile(r"(?:https?://[^/\s]+/)?([A-Za-z0-9_.-]+)/([A-Za-z0-9_.-]+)(?:#|/issues/)([0-9]{1,9})/?")
_DOLLARS = re.compile(r"\+\s?\$?(\d{1,4}(?:\.\d{1,2})?)(?=\s|$)")
_MAX_ISSUE_BYTES = 1_000_000
_COMPLETIONS = TypeAdapter(tuple[Completion, ...])


@dataclass(frozen=True, slots=True)
class RunCommand:
    """What was typed after `coder run`."""

    issue: str
    issue_file: Path | None
    prompt: str
    repo: Path
    apply: bool
    dry_run: Path | None
    pull_request: bool
    resume: str
    recorded: Path | None
    allow_dirty: bool
    unsafe: bool
    say: str = ""
    """What is added to the run that is resumed; `+$N` in front adds dollars."""
    plan: bool = False
    """Only a plan, until it is approved."""
    attempts: int | None = None
    """How often it may be begun from the start; None leaves it to the effort and the profile."""


def with_options(settings: Settings, caps: Mapping[str, float | None], *, model: str, effort: str) -> Settings:
    """The settings with the options of a call on top; what was not given stays.

    Raises:
        InputError: A limit does not fit.
    """
    limits = {**settings.limits.model_dump(), **{k: v for k, v in caps.items() if v is not None}}
    try:
        checked = type(settings.limits).model_validate(limits)
    except ValidationError as exc:
        wrong = exc.errors()[0]
        raise InputError(f"the limit {wrong['loc'][0]} does not fit: {wrong['msg'].lower()}") from exc
    given = {key: value for key, value in {"profile": model, "effort": effort}.items() if value}
    chosen = settings.model.model_copy(update=given)  # a wrong name is told where the profile is read
    return settings.model_copy(update={"limits": checked, "model": chosen})


def execute(command: RunCommand, settings: Settings) -> RunResult:
    """Carry the command out and show how it went.

    Raises:
        CoderError: What was typed does not fit, or our own machinery failed.
    """
    console = Console(stderr=False)
    checkout = Checkout(command.repo)
    recorded = None if command.recorded is None else _recording(command.recorded)
    with Application(settings) as app:
        task, forge = _task(command, settings, app, checkout)
        followup = said(app.journals.open(task.run_id).events, command.say, by=_speaker(task, forge))
        done = len([e for e in app.journals.open(task.run_id).events if isinstance(e, Answered)])
        watcher = Watcher(console, max_cost_usd=task.limits.max_cost_usd, clock=time.monotonic)
        if recorded is None:
            app.warm_up(task.model)
            console.print(f"run {task.run_id} with {task.model}", highlight=False)
        else:
            console.print(f"run {task.run_id} with a RECORDED model run: no model is called", highlight=False)
        options = Options(
            recorded=None if recorded is None else recorded[done:],
            answerable=console.is_terminal and recorded is None,
            unsafe_local=command.unsafe,
            dry_run=command.dry_run,
            listeners=(watcher.hear,),
            progress=watcher.progress,
        )
        try:
            with watcher:
                services = app.services(forge, options)
                sweep_orphans(services.sandboxes)
                result = resolve(task, services, followup)
        except (KeyboardInterrupt, CoderError):
            if any(isinstance(event, Answered) for event in app.journals.open(task.run_id).events):
                console.print(f"interrupted; to go on: coder run --resume {task.run_id}", highlight=False)
            raise
        journal = app.journals.open(task.run_id)
        verified = [e for e in journal.events if isinstance(e, Verified)]
        tried = attempt(journal.events, task=task, spent=result.spent)
        show_result(console, result, verified[-1].evidence if verified else None, tried)
        if result.outcome.kind == "asked":
            answer = "approve" if task.mode == "plan" else "YOUR ANSWER"
            console.print(f"to go on: coder run --resume {task.run_id} --say '{answer}'", highlight=False)
        if command.apply:
            _apply(journal, result, checkout, console)
    return result


def said(events: Sequence[Event], text: str, *, by: str) -> Followup | None:
    """What the words after `--say` are to the run whose journal is `events`; None when there are none.

    `approve` approves a plan that waits; anything else answers what was asked, or asks for something more.

    Raises:
        InputError: There is no run to say it to, or the dollars are no number.
    """
    if not text.strip():
        return None
    state = state_of(events)
    if state.started is None:
        raise InputError("--say adds to a run that exists: name it with --resume RUN")
    found = _DOLLARS.match(text.strip())
    words = text.strip()[found.end() :].strip() if found else text.strip()
    waits = state.finished is not None and state.finished.result.outcome.kind == "asked"
    kind: Literal["answer", "approve", "revise", "continue"] = "answer" if waits else "revise"
    if waits and state.started.task.mode == "plan":
        kind = "approve" if words.lower().strip(" .!") == "approve" else "revise"
    if not words or words.lower() == "continue":
        kind = "continue"
    note = Note(author=by, body=words, created_at=utc_now(), trusted=True)
    dollars = float(found[1]) if found else 0.0
    return Followup(id=f"cli-{secrets.token_hex(8)}", kind=kind, note=note, add_cost_usd=dollars)


def _speaker(task: Task, forge: Forge) -> str:
    """Who sits in front of this: at GitHub the account of the token, whose permission is asked there."""
    return forge.identity().login if isinstance(forge, GitHubForge) else task.requested_by


def _task(command: RunCommand, settings: Settings, app: Application, checkout: Checkout) -> tuple[Task, Forge]:
    """What is to be done, and where it comes from and goes to."""
    if command.resume:
        return _resumed(command, app, checkout)
    given = [bool(command.issue), command.issue_file is not None, bool(command.prompt)]
    if sum(given) != 1:
        raise InputError("say what to do: give one of owner/repo#12, --issue-file FILE, --prompt TEXT")
    if checkout.is_dirty() and not command.allow_dirty:
        raise InputError(
            f"{checkout.path} has uncommitted changes: commit or stash them, or work from HEAD without them by --allow-dirty"
        )
    if command.issue:
        return _github_task(command, settings, app, checkout)
    text = command.prompt if command.issue_file is None else _issue_text(command.issue_file)
    if not text.strip():
        raise InputError("the prompt is empty: say in words what to do")
    title, _, body = text.strip().partition("\n")
    task = Task(
        run_id=_run_id(),
        repo=RepoRef(owner="local", name=checkout.path.name or "checkout"),
        kind="prompt",
        prompt_title=title.lstrip("# ").strip()[:200],
        prompt=body.strip(),
        requested_by=getpass.getuser(),
        requested_at=utc_now(),
        base_ref=checkout.head,
        mode="plan" if command.plan else "fix",
        model=settings.model.chosen,
        limits=settings.limits,
        attempts=command.attempts,
    )
    return task, _here(checkout, task)


def _resumed(command: RunCommand, app: Application, checkout: Checkout) -> tuple[Task, Forge]:
    """A run that exists, and the checkout that it is about."""
    events = app.journals.open(command.resume).events
    task = next((e.task for e in events if isinstance(e, RunStarted)), None)
    if task is None:
        raise InputError(f"there is no run {command.resume!r} to go on with; `coder trace` lists the runs")
    if task.number and command.pull_request:
        return task, app.github()
    if task.base_ref and not checkout.has(task.base_ref):
        raise InputError(
            f"{checkout.path} does not have the commit {task.base_ref[:12]} that the run is about: name the checkout of "
            f"{task.repo.name} with --repo"
        )
    return task, _here(checkout, task)


def _github_task(command: RunCommand, settings: Settings, app: Application, checkout: Checkout) -> tuple[Task, Forge]:
    """An issue of GitHub; worked on in this checkout, or with `--pr` on GitHub itself."""
    match = _ISSUE.fullmatch(command.issue.strip())
    if match is None:
        raise InputError(f"{command.issue!r} does not name an issue; write it as owner/repo#12")
    github = app.github()
    task = Task(
        run_id=_run_id(),
        repo=RepoRef(owner=match[1], name=match[2]),
        kind="issue",
        number=int(match[3]),
        requested_by=github.identity().login,
        requested_at=utc_now(),
        base_ref=None if command.pull_request else checkout.head,
        mode="plan" if command.plan else "fix",
        model=settings.model.chosen,
        limits=settings.limits,
        attempts=command.attempts,
    )
    return task, github if command.pull_request else _IssueHere(checkout, github.problem(task))


class _IssueHere(LocalForge):
    """An issue of GitHub that is worked on in a checkout."""

    def __init__(self, checkout: Checkout, problem: Problem) -> None:
        super().__init__(checkout.path, head=checkout.head, branch=checkout.branch, title="", body="")
        self._problem = problem

    @override
    def problem(self, task: Task) -> Problem:
        return self._problem


def _here(checkout: Checkout, task: Task) -> LocalForge:
    """The checkout as the place where a prompt comes from and its branch goes to."""
    title, body = task.prompt_title, task.prompt
    return LocalForge(checkout.path, head=checkout.head, branch=checkout.branch, title=title, body=body)


def _issue_text(path: Path) -> str:
    try:
        data = path.read_bytes()
    except OSError as exc:
        raise InputError(f"cannot read the issue file {path}: {exc.strerror or exc}") from exc
    if len(data) > _MAX_ISSUE_BYTES:
        raise InputError(f"the issue file {path} has {len(data)} bytes; at most {_MAX_ISSUE_BYTES} are read")
    text = data.decode("utf-8", "replace").replace("\0", "")
    if not text.strip():
        raise InputError(f"the issue file {path} is empty: write a title on its first line and the problem below")
    return text


def _recording(path: Path) -> tuple[Completion, ...]:
    try:
        return _COMPLETIONS.validate_json(path.read_bytes())
    except OSError as exc:
        raise InputError(f"cannot read the recording {path}: {exc.strerror or exc}") from exc
    except ValidationError as exc:
        raise InputError(f"{path} is not a recording of model answers: {exc.errors()[0]['msg']}") from exc


def _apply(journal: Journal, result: RunResult, checkout: Checkout, console: Console) -> None:
    taken = [e for e in journal.events if isinstance(e, PatchTaken)]
    if result.pull_request is None or not taken:
        console.print("nothing was applied: the change was not accepted")
        return
    checkout.apply(journal.blob(taken[-1].diff_blob).decode("utf-8", "surrogateescape"))
    console.print(f"applied to the working files of {checkout.path}", highlight=False)


def _run_id() -> str:
    return f"local-{time.strftime('%Y%m%d-%H%M%S')}-{secrets.token_hex(3)}"
