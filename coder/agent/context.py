"""The conversation as it goes on the wire: append only, until it must be shortened."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Literal

from coder.agent import budget, window
from coder.agent.economy import Economy
from coder.errors import ContextOverflowError, ModelError
from coder.model.protocol import CompletionRequest, ModelClient
from coder.prompts import render
from coder.trace.attempts import elsewhere, of_attempt
from coder.trace.events import Answered, Attempted, Continued, Event, Opened, Summarised, Told, ToolFinished
from coder.trace.fold import Conversation, Meter
from coder.trace.journal import Journal
from coder.types import Checkpoint, Completion, Limits, Message, Spent

CALL_DEADLINE_S = 900.0
"""Wall clock of one model call with its retries."""
LAST_WORDS_DEADLINE_S = 120.0
MAX_SUMMARY_TOKENS = 8_192
"""Of a summary, what was thought about it included."""
FAREWELL = 0
"""`before_step` of a summary that shortens nothing: the last words of a run that could not go on."""

Reason = Literal["no_tool_call", "cut_short", "stuck", "budget", "worse"]


class Context:
    """What the model is sent. The journal stays the only truth: this follows it, line by line."""

    def __init__(self, model: ModelClient, journal: Journal, limits: Limits) -> None:
        self._model, self._journal, self._limits = model, journal, limits
        self._economy, self._conversation, self._meter = Economy(model.profile), Conversation(), Meter()
        self._seen = 0
        self._others = elsewhere(journal.events)
        self._warned, self._before = False, Spent()
        self._follow()
        self._tools = next(e.tools for e in journal.events if isinstance(e, Opened))
        self._described = window.described(self._tools)

    @property
    def spent(self) -> Spent:
        """What the run has used so far."""
        self._follow()
        return self._meter.spent

    def record(self, event: Event) -> Event:
        """Journal an event and let the conversation follow; what was stored comes back."""
        stored = self._journal.append(event)
        self._follow()
        return stored

    def room(self) -> int:
        """Tokens that the next answer may have, the conversation shortened first if need be; 0 when there is no room."""
        keep = self._economy.first_step_to_keep()
        if keep is not None and self._room():
            self._summarise(keep)
        if self._tokens() > window.REDUCE_AT * self._model.profile.window_tokens:
            self._shorten(window.KEEP_STEPS)
        return self._room()

    def ask(self, step: int, room: int) -> Completion:
        """The model's answer, journalled; a conversation that the provider finds too long is shortened once."""
        try:
            completion = self._model.complete(self._request(room))
        except ContextOverflowError:
            if not self._shorten(window.KEEP_STEPS // 2):
                raise
            completion = self._model.complete(self._request(room))
        self.record(Answered(step=step, completion=completion))
        return completion

    def warn(self, step: int) -> None:
        """Say once that a limit comes near."""
        if not self._warned and (text := budget.warning(self._limits, self.spent, self._before)):
            self.tell(step, "budget", advice=text)

    def tell(self, step: int, reason: Reason, advice: str = "", checkpoint: Checkpoint | None = None) -> None:
        """Say something to the model; an answer without a tool call leaves the wire for it."""
        message = Message(role="user", content=render("reminder", reason=reason, advice=advice))
        silent = reason in {"no_tool_call", "cut_short"}
        self.record(Told(step=step, reason=reason, message=message, replaces_answer=silent, checkpoint=checkpoint))

    def last_words(self, reason: str) -> str:
        """What the model says of work that it cannot finish; empty when there is no money for it, or it does not answer."""
        events = self._journal.events
        if isinstance(last := events[-1], Summarised) and last.before_step == FAREWELL:
            return _text(last.completion)  # asked by a process that died
        room = min(self._room(), MAX_SUMMARY_TOKENS)
        if not room:
            return ""
        question = Message(role="user", content=render("last_words", reason=reason))
        try:
            request = replace(self._request(room, question), deadline_s=LAST_WORDS_DEADLINE_S)
            completion = self._model.complete(request)
        except ModelError:
            return ""  # the end of the run has its reason already
        self.record(Summarised(before_step=FAREWELL, completion=completion, message=None))
        return _text(completion)

    def _summarise(self, keep: int) -> None:
        """Let the model write down what it needs of the steps before `keep`; without a usable answer nothing changes.

        The question is the conversation itself with one message more, so that the provider's cache serves it.
        """
        events = of_attempt(self._journal.events)
        kept = len({e.step for e in events if isinstance(e, Answered) and e.step >= keep})
        question = Message(role="user", content=render("summary_request", kept=kept))
        request = self._request(min(self._room(), MAX_SUMMARY_TOKENS), question)
        try:
            completion = self._model.complete(request)
        except ContextOverflowError:
            return  # the step itself will meet it too, and shorten by other means
        message = summary_message(events, completion, keep)
        self.record(Summarised(before_step=keep, completion=completion, message=message))

    def _follow(self) -> None:
        for entry in self._journal.since(self._seen):
            self._meter.take(entry)
            self._seen += 1
            if entry.seq in self._others:
                continue
            self._conversation.take(entry.event)
            self._economy.take(entry.event)
            self._warned = self._warned or (isinstance(entry.event, Told) and entry.event.reason == "budget")
            if isinstance(entry.event, Attempted | Continued):  # limits are anew, and so is the warning
                self._warned, self._before = False, self._meter.spent

    def _tokens(self) -> int:
        return window.tokens(self._conversation.chars + self._described)

    def _room(self) -> int:
        return budget.room(self._tokens(), self._model.profile, self._limits, self.spent)

    def _request(self, room: int, *more: Message) -> CompletionRequest:
        messages = [*self._conversation.messages, *more]
        left_usd = self._limits.max_cost_usd - self.spent.cost_usd
        return CompletionRequest(
            messages, self._tools, room, CALL_DEADLINE_S, cache_key=self._journal.run_id, max_cost_usd=left_usd
        )

    def _shorten(self, keep_steps: int) -> bool:
        reduced = window.reduction(of_attempt(self._journal.events), keep_steps=keep_steps)
        if reduced is None:
            return False
        self.record(reduced)
        return True


def summary_message(events: Sequence[Event], completion: Completion, keep: int) -> Message | None:
    """What stands for the steps before `keep`: the model's summary and its last plan; None when it wrote no summary."""
    text = _text(completion)
    if not text or completion.finish_reason != "stop":
        return None
    plan = next((e.output.content for e in reversed(events) if isinstance(e, ToolFinished) and e.name == "plan"), "")
    return Message(role="user", content=render("summary", last=keep - 1, summary=text, plan=plan))


def _text(completion: Completion) -> str:
    return (completion.message.content or "").strip()
