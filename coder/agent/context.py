"""The conversation as it goes on the wire: append only, until it must be shortened."""

from collections.abc import Sequence
from typing import Literal

from coder.agent import budget, stuck, window
from coder.agent.economy import Economy
from coder.errors import ContextOverflowError
from coder.model.protocol import CompletionRequest, ModelClient
from coder.prompts import render
from coder.trace.events import Answered, Event, Opened, Summarised, Told, ToolFinished
from coder.trace.journal import Journal
from coder.trace.state import conversation, spent
from coder.types import Completion, Limits, Message, Spent

CALL_DEADLINE_S = 900.0
"""Wall clock of one model call with its retries."""
MAX_SUMMARY_TOKENS = 8_192
"""Of a summary, what was thought about it included."""


class Context:
    """What the model is sent. The journal stays the only truth: this is its fold, kept up to date."""

    def __init__(self, model: ModelClient, journal: Journal, limits: Limits) -> None:
        self._model, self._journal, self._limits = model, journal, limits
        self._economy = Economy(model.profile)
        self._added_up = ("", Spent())
        self._messages = conversation(journal.events)
        self._tools = next(e.tools for e in journal.events if isinstance(e, Opened))

    def record(self, event: Event) -> None:
        """Journal an event and let the conversation follow."""
        stored = self._journal.append(event)
        if isinstance(stored, Told) and stored.replaces_answer:
            self._messages = conversation(self._journal.events)
        else:
            self._messages += conversation([stored])

    def room(self) -> int:
        """Tokens that the next answer may have, the conversation shortened first if need be; 0 when there is no room."""
        keep = self._economy.first_step_to_keep(self._journal.events)
        if keep is not None and self._room():
            self._summarise(keep)
        if window.tokens(self._messages, self._tools) > window.REDUCE_AT * self._model.profile.window_tokens:
            self._shorten(window.KEEP_STEPS)
        return self._room()

    def _room(self) -> int:
        estimate = window.tokens(self._messages, self._tools)
        return budget.room(estimate, self._model.profile, self._limits, self._spent())

    def _summarise(self, keep: int) -> None:
        """Let the model write down what it needs of the steps before `keep`; without a usable answer nothing changes.

        The question is the conversation itself with one message more, so that the provider's cache serves it.
        """
        events = self._journal.events
        kept = len({e.step for e in events if isinstance(e, Answered) and e.step >= keep})
        question = Message(role="user", content=render("summary_request", kept=kept))
        request = self._request(min(self._room(), MAX_SUMMARY_TOKENS), question)
        try:
            completion = self._model.complete(request)
        except ContextOverflowError:
            return  # the step itself will meet it too, and shorten by other means
        message = summary_message(events, completion, keep)
        self._journal.append(Summarised(before_step=keep, completion=completion, message=message))
        self._messages = conversation(self._journal.events)

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

    def advise(self, step: int) -> None:
        """Remind the model when it repeats itself, and once when a limit comes near."""
        events = self._journal.events
        if not isinstance(events[-1], Told) and (text := stuck.reminder(events)):
            self.tell(step, "stuck", advice=text)
        warned = any(isinstance(e, Told) and e.reason == "budget" for e in events)
        if not warned and (text := budget.warning(self._limits, self._spent())):
            self.tell(step, "budget", advice=text)

    def tell(
        self, step: int, reason: Literal["no_tool_call", "cut_short", "stuck", "budget"], advice: str = ""
    ) -> None:
        """Say something to the model; an answer without a tool call leaves the wire for it."""
        message = Message(role="user", content=render("reminder", reason=reason, advice=advice))
        silent = reason in {"no_tool_call", "cut_short"}
        self.record(Told(step=step, reason=reason, message=message, replaces_answer=silent))

    def _spent(self) -> Spent:
        """What is used so far; added up again only when something was journalled since."""
        digest = self._journal.digest
        if self._added_up[0] != digest:
            self._added_up = (digest, spent(self._journal.entries))
        return self._added_up[1]

    def _request(self, room: int, *more: Message) -> CompletionRequest:
        messages = [*self._messages, *more]
        left_usd = self._limits.max_cost_usd - self._spent().cost_usd
        return CompletionRequest(
            messages, self._tools, room, CALL_DEADLINE_S, cache_key=self._journal.run_id, max_cost_usd=left_usd
        )

    def _shorten(self, keep_steps: int) -> bool:
        reduced = window.reduction(self._journal.events, keep_steps=keep_steps)
        if reduced is None:
            return False
        self._journal.append(reduced)
        self._messages = conversation(self._journal.events)
        return True


def summary_message(events: Sequence[Event], completion: Completion, keep: int) -> Message | None:
    """What stands for the steps before `keep`: the model's summary and its last plan; None when it wrote no summary."""
    text = (completion.message.content or "").strip()
    if not text or completion.finish_reason != "stop":
        return None
    plan = next((e.output.content for e in reversed(events) if isinstance(e, ToolFinished) and e.name == "plan"), "")
    return Message(role="user", content=render("summary", last=keep - 1, summary=text, plan=plan))
