"""A conversation that another model began, as the model that goes on with it can take it. Pure.

Anthropic refuses calls of a tool loop that does not begin with a signed thought, and nobody can sign another model's: what
was done until the model's own first thought is told to it as text, and a new loop begins. Kimi K2 was trained on calls
named `functions.NAME:NUMBER`, the number counting through the conversation, and does worse with other names.
"""

import re
from typing import Final

from coder.model.profile import ModelProfile
from coder.types import Message

_OTHERS: Final = re.compile(r"(?:toolu|call|fc)_[\w-]+")
"""Ids as Anthropic, OpenAI and most servers make them."""
_SIGNED: Final = frozenset({"thinking", "redacted_thinking"})


class HandOver:
    """Takes the messages of one conversation in their order, calls and results paired, and gives them as `profile` takes them.

    What it makes of a message depends on those before it only: a longer conversation begins as the shorter one did.
    """

    def __init__(self, profile: ModelProfile) -> None:
        self._tells = profile.route == "anthropic" and profile.thinking_budget_tokens is not None
        self._renames = profile.call_ids == "functions"
        self._calls = 0
        self._names: dict[str | None, str] = {}

    def take(self, message: Message) -> Message:
        """The next message; the same object where nothing of it has to change."""
        if self._tells:
            self._tells = not _is_signed(message)
            return _as_text(message) if self._tells else message
        return self._renamed(message) if self._renames else message

    def _renamed(self, message: Message) -> Message:
        if message.tool_call_id in self._names:
            return message.model_copy(update={"tool_call_id": self._names[message.tool_call_id]})
        numbered = list(enumerate(message.tool_calls, self._calls))
        self._calls += len(numbered)
        names: dict[str | None, str] = {
            call.id: f"functions.{call.name}:{n}" for n, call in numbered if _OTHERS.fullmatch(call.id)
        }
        if not names:
            return message
        self._names |= names
        calls = tuple(call.model_copy(update={"id": names.get(call.id, call.id)}) for call in message.tool_calls)
        return message.model_copy(update={"tool_calls": calls})


def _is_signed(message: Message) -> bool:
    return any(block.get("type") in _SIGNED for block in message.thinking_blocks)


def _as_text(message: Message) -> Message:
    """A call or a result as something that is said to the model: it did not make the one, nor ask for the other."""
    if message.role == "tool":
        return Message(role="user", content=f"[result of {message.name or 'the call'}]\n{message.content or ''}")
    if not message.tool_calls:
        return message
    calls = (f"[called {call.name} with {call.arguments}]" for call in message.tool_calls)
    said = [message.content] if message.content and message.content.strip() else []
    return Message(role="user", content="\n".join(("[another model worked on this before you]", *said, *calls)))
