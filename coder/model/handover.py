"""A conversation that another model began, as the model that goes on with it can take it. Pure.

Anthropic refuses calls of a tool loop that does not begin with a signed thought, and nobody can sign another model's: what
was done until the model's own first thought is told to it as text, and a new loop begins. Kimi K2 was trained on calls
named `functions.NAME:NUMBER`, the number counting through the conversation, and does worse with other names.
"""

import re
from collections.abc import Sequence
from typing import Final

from coder.model.profile import ModelProfile
from coder.types import Message

_OTHERS: Final = re.compile(r"(?:toolu|call|fc)_[\w-]+")
"""Ids as Anthropic, OpenAI and most servers make them."""
_SIGNED: Final = frozenset({"thinking", "redacted_thinking"})


def handed_over(messages: Sequence[Message], profile: ModelProfile) -> list[Message]:
    """`messages`, calls and results paired, as `profile` takes them; equal ones stay the same objects."""
    if profile.route == "anthropic" and profile.thinking_budget_tokens is not None:
        return _told(messages)
    if profile.call_ids == "functions":
        return _renamed(messages)
    return list(messages)


def _told(messages: Sequence[Message]) -> list[Message]:
    own = next((at for at, one in enumerate(messages) if _is_signed(one)), len(messages))
    return [*map(_as_text, messages[:own]), *messages[own:]]


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


def _renamed(messages: Sequence[Message]) -> list[Message]:
    names: dict[str | None, str] = {}
    count = 0
    out: list[Message] = []
    for message in messages:
        if message.tool_calls:
            calls = []
            for call in message.tool_calls:
                if _OTHERS.fullmatch(call.id):
                    names[call.id] = f"functions.{call.name}:{count}"
                calls.append(call.model_copy(update={"id": names.get(call.id, call.id)}))
                count += 1
            same = tuple(calls) == message.tool_calls
            out.append(message if same else message.model_copy(update={"tool_calls": tuple(calls)}))
        elif message.tool_call_id in names:
            out.append(message.model_copy(update={"tool_call_id": names[message.tool_call_id]}))
        else:
            out.append(message)
    return out
