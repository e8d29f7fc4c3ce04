"""How much of a model's window a conversation fills, by the provider's own count of the request before."""

from collections import OrderedDict
from collections.abc import Sequence
from threading import Lock

from coder.errors import ContextOverflowError
from coder.model.profile import ModelProfile
from coder.types import Message, Usage

_RESERVE_TOKENS = 1024
_MIN_OUTPUT_TOKENS = 256
CHARS_PER_TOKEN = 4.0
"""For what no provider has counted yet."""
_REMEMBERED_RUNS = 64


def characters(messages: Sequence[Message]) -> int:
    """Characters of `messages` that a model reads."""
    return sum(
        len(message.content or "")
        + len(message.reasoning_content or "")
        + sum(len(call.name) + len(call.arguments) for call in message.tool_calls)
        for message in messages
    )


class TokenGauge:
    """Knows how many tokens a run's last request had, and guesses only what came since. Safe to share by threads."""

    def __init__(self, profile: ModelProfile) -> None:
        self._profile = profile
        self._counted: OrderedDict[str, tuple[int, int]] = OrderedDict()
        self._lock = Lock()

    def learn(self, run: str, chars: int, usage: Usage) -> None:
        """Remember what the provider counted for a conversation of `chars` characters."""
        if usage.estimated or not chars or not usage.prompt_tokens:
            return
        with self._lock:
            self._counted.pop(run, None)
            self._counted[run] = chars, usage.prompt_tokens
            while len(self._counted) > _REMEMBERED_RUNS:
                self._counted.popitem(last=False)

    def room(self, run: str, chars: int, asked: int) -> int:
        """How many tokens of output the window leaves behind `chars` characters, at most `asked`.

        Moonshot answers 400 when prompt and `max_tokens` together exceed the window, so the cap shrinks as the prompt grows.

        Raises:
            ContextOverflowError: None to speak of, by the provider's own count.
        """
        known = self._counted.get(run)
        prompt_tokens = _estimate(chars, *(known or (0, 0)))
        room = self._profile.window_tokens - prompt_tokens - _RESERVE_TOKENS
        if room < _MIN_OUTPUT_TOKENS and known is not None:
            raise ContextOverflowError(
                f"model profile {self._profile.name!r}: about {prompt_tokens} tokens of conversation leave no room for an"
                f" answer in a window of {self._profile.window_tokens}"
            )
        return max(min(_MIN_OUTPUT_TOKENS, asked), min(asked, room))


def _estimate(chars: int, known_chars: int, known_tokens: int) -> int:
    """Tokens of `chars` characters, of which (or of more than which) the provider has counted some, tools included."""
    if chars < known_chars:
        return known_tokens * chars // known_chars
    return known_tokens + int((chars - known_chars) / CHARS_PER_TOKEN)
