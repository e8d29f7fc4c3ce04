"""What the journal says of a run: pure folds over its events."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace

from coder.errors import JournalError
from coder.trace.attempts import of_attempt
from coder.trace.events import (
    Answered,
    Attempted,
    Attributed,
    Chosen,
    Continued,
    Entry,
    Event,
    Finished,
    Opened,
    PatchTaken,
    Prepared,
    ProblemRead,
    Published,
    Reopened,
    Reviewed,
    RunStarted,
    Solved,
    Told,
    ToolFinished,
    Verified,
)
from coder.trace.fold import Conversation, Meter
from coder.types import (
    Checkpoint,
    Completion,
    Followup,
    Limits,
    Message,
    Outcome,
    PullRequest,
    Spent,
    Submission,
    Task,
    ToolCall,
    VerdictKind,
)

_FIELDS = {
    "run_started": "started",
    "problem_read": "problem",
    "prepared": "prepared",
    "opened": "opened",
    "solved": "solved",
    "patch_taken": "patch",
    "published": "published",
    "finished": "finished",
    "attributed": "attributed",
}


_RANK: tuple[VerdictKind, ...] = ("refused", "no_change", "regressed", "unverified", "passing", "proven")
"""Verdicts from worst to best."""


@dataclass(frozen=True, slots=True)
class Round:
    """One round: what the agent handed in, its change (None when it might not leave the sandbox), what the tests said."""

    outcome: Outcome
    patch: PatchTaken | None
    verified: Verified
    reviewed: Reviewed | None = None
    """What a second model said of it, where one was asked."""
    attempt: int = 1


@dataclass(slots=True)
class RunState:
    """Where a run stands: the last event of each kind. Reading it never changes it."""

    started: RunStarted | None = None
    problem: ProblemRead | None = None
    prepared: Prepared | None = None
    opened: Opened | None = None
    checkpoint: Checkpoint | None = None
    solved: Solved | None = None
    """How the agent's part ended; None again after an objection reopened it."""
    patch: PatchTaken | None = None
    objections: int = 0
    """How often the work was sent back, or begun anew."""
    attempt: int = 1
    rounds: list[Round] = field(default_factory=list)
    published: Published | None = None
    """What this segment published."""
    finished: Finished | None = None
    followup: Followup | None = None
    """What the open segment answers; None in a run's first segment."""
    heard: set[str] = field(default_factory=set)
    """Ids of every follow-up that the run has taken, steering included."""
    segments: list[Followup] = field(default_factory=list)
    """The follow-ups that reopened the run, in order."""
    reopened: Reopened | None = None
    attributed: Attributed | None = None
    """Of this segment."""
    told: bool = False
    """Whether the model was told the follow-up, from where the segment goes on now."""
    pull_request: PullRequest | None = None
    """What was published last, by whatever segment."""

    @property
    def best(self) -> Round:
        """The round with the best verdict, the latest of equal ones: work that got worse later is not what is handed out.

        Raises:
            JournalError: No round has a verdict yet.
        """
        if not self.rounds:
            raise JournalError("the run has no verdict yet")
        return max(self.rounds, key=lambda r: (_RANK.index(r.verified.verdict.kind), r.verified.round))

    def take(self, event: Event) -> None:
        """Move on by one event."""
        if isinstance(event, Verified | Reviewed):
            self._judge(event)
        elif isinstance(event, ToolFinished | Told) and event.checkpoint is not None:
            self.checkpoint = event.checkpoint
        elif isinstance(event, Told) and event.reason == "objection":
            self._send_back()
        elif isinstance(event, Attempted | Chosen | Continued | Reopened):
            self._move(event)
        elif event.type in _FIELDS:
            setattr(self, _FIELDS[event.type], event)
        if isinstance(event, Told) and event.followup:
            self.heard.add(event.followup)
            self.told = self.told or (self.followup is not None and event.followup == self.followup.id)
        if isinstance(event, Published):
            self.pull_request = event.pull_request

    def _judge(self, event: Verified | Reviewed) -> None:
        if isinstance(event, Reviewed):
            self.rounds[-1] = replace(self.rounds[-1], reviewed=event)
        else:
            outcome = self.solved.outcome if self.solved else Outcome(kind="failed")
            self.rounds.append(Round(outcome, self.patch, event, attempt=self.attempt))

    def _send_back(self) -> None:
        self.solved = self.patch = None
        self.objections += 1

    def _move(self, event: Attempted | Chosen | Continued | Reopened) -> None:
        """Go on from somewhere else."""
        match event:
            case Attempted():
                self.attempt, self.checkpoint = event.number, None
                self._send_back()
            case Chosen():
                self.attempt, self.checkpoint = event.number, event.checkpoint
            case _:
                self._reopen(event)

    def _reopen(self, event: Continued | Reopened) -> None:
        """Begin a segment, or begin it again from somewhere else; its rounds are counted by themselves."""
        self.solved = self.patch = self.published = self.finished = None
        self.rounds, self.objections, self.told = [], 0, False
        if isinstance(event, Reopened):
            self.reopened, self.checkpoint = event, event.checkpoint
            return
        self.reopened, self.attributed, self.followup = None, None, event.followup
        self.heard.add(event.followup.id)
        self.segments.append(event.followup)


def state_of(events: Iterable[Event]) -> RunState:
    """Where the run stands after `events`."""
    state = RunState()
    for event in events:
        state.take(event)
    return state


def limits_now(task: Task, entries: Sequence[Entry]) -> Limits:
    """The caps of the run as they stand now, for what it has used in all.

    Dollars are the run's, with what people added. Steps, minutes and tokens are given anew with each follow-up: a person
    asked for more work.
    """
    before = next((i for i in reversed(range(len(entries))) if isinstance(entries[i].event, Continued)), 0)
    used = spent(entries[:before])
    added = sum(entry.event.followup.add_cost_usd for entry in entries if isinstance(entry.event, Continued))
    limits = task.limits
    return Limits(
        max_steps=limits.max_steps + used.steps,
        max_cost_usd=limits.max_cost_usd + added,
        max_minutes=limits.max_minutes + used.elapsed_s / 60,
        max_tokens=limits.max_tokens + used.prompt_tokens + used.completion_tokens,
    )


def limits_of_attempt(limits: Limits, entries: Sequence[Entry], attempts: int) -> Limits:
    """The caps of the attempt under way: what was left when it began, shared with those that may follow it."""
    began = max((i for i, entry in enumerate(entries) if isinstance(entry.event, Attempted)), default=0)
    number = state_of(entry.event for entry in entries).attempt
    before, share = spent(entries[:began]), max(attempts - number, 0) + 1
    tokens = before.prompt_tokens + before.completion_tokens
    minutes = before.elapsed_s / 60
    return Limits(
        max_steps=before.steps + max((limits.max_steps - before.steps) // share, 1),
        max_cost_usd=before.cost_usd + max((limits.max_cost_usd - before.cost_usd) / share, 0.0001),
        max_minutes=minutes + max((limits.max_minutes - minutes) / share, 0.001),
        max_tokens=tokens + max((limits.max_tokens - tokens) // share, 1),
    )


def conversation(events: Sequence[Event]) -> list[Message]:
    """The messages as they go on the wire next, rebuilt from the journal."""
    told = Conversation()
    for event in of_attempt(events):
        told.take(event)
    return told.messages


@dataclass(frozen=True, slots=True)
class Turn:
    """The last answer and what of it is still to be done: where a new process goes on."""

    step: int = 0
    answer: Completion | None = None
    """None when nothing is left to do for it."""
    open_calls: tuple[ToolCall, ...] = ()
    submission: Submission | None = None
    question: str | None = None


def last_turn(events: Iterable[Event]) -> Turn:
    """The turn that the journal ends in."""
    turn = Turn()
    for event in events:
        match event:
            case Answered():
                turn = Turn(event.step, event.completion, event.completion.message.tool_calls)
            case ToolFinished():
                rest = tuple(call for call in turn.open_calls if call.id != event.call_id)
                submission = event.output.submission or (None if event.checkpoint else turn.submission)
                question = event.output.question or turn.question
                turn = replace(turn, open_calls=rest, submission=submission, question=question)
            case Told() | Solved() | Attempted() | Chosen():
                turn = Turn(step=turn.step)
            case _:
                pass
    return turn


def spent(entries: Sequence[Entry]) -> Spent:
    """Steps, tokens, dollars and wall clock so far."""
    meter = Meter()
    for entry in entries:
        meter.take(entry)
    return meter.spent
