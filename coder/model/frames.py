"""Requests without their conversation, as litellm made them: made once for a run, filled for each step."""

import json
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from dataclasses import field as dataclass_field
from threading import Lock

import httpx

from coder.types import JsonObject, ToolSpec

PLACEHOLDER: JsonObject = {"role": "user", "content": "the conversation"}
"""What litellm is given as the conversation. It walks whatever it gets some fifteen times; the real one takes its place."""
_CONVERSATION = ("messages", "input")
_REMEMBERED_RUNS = 64


@dataclass(frozen=True, slots=True)
class Frame:
    """Where a request goes, with which headers, and all of its body but the conversation."""

    method: str
    url: httpx.URL
    headers: httpx.Headers = dataclass_field(repr=False)
    rest: bytes
    """The body behind the conversation."""
    field: str = "messages"
    """What the dialect calls the conversation."""

    @classmethod
    def of(cls, request: httpx.Request, body: bytes) -> "Frame":
        """The frame of a request whose conversation is the placeholder.

        Raises:
            ValueError: litellm changed the conversation.
        """
        rest = json.loads(body)
        name = next((name for name in _CONVERSATION if rest.get(name) == [PLACEHOLDER]), None)
        if name is None:
            raise ValueError("litellm changed the conversation on this route")
        del rest[name]
        encoded = json.dumps(rest, ensure_ascii=False).encode()[1:]
        return cls(request.method, request.url, request.headers.copy(), encoded, name)

    def body(self, messages: bytes) -> bytes:
        """The whole body with `messages`, a JSON list, in front."""
        return f'{{"{self.field}": '.encode() + messages + b", " + self.rest


class Frames:
    """The last frame of each run. It fits while tools and cap stay: the rest is the profile's. Safe to share by threads."""

    def __init__(self) -> None:
        self._kept: OrderedDict[str, tuple[Sequence[ToolSpec], int, Frame]] = OrderedDict()
        self._lock = Lock()

    def fitting(self, run: str, tools: Sequence[ToolSpec], max_tokens: int) -> Frame | None:
        """The run's frame; None when litellm has to make one."""
        with self._lock:
            known = self._kept.get(run)
        if known is None or known[1] != max_tokens or not (known[0] is tools or known[0] == tools):
            return None
        return known[2]

    def keep(self, run: str, tools: Sequence[ToolSpec], max_tokens: int, frame: Frame) -> None:
        """Remember what litellm made."""
        with self._lock:
            self._kept.pop(run, None)
            self._kept[run] = tools, max_tokens, frame
            while len(self._kept) > _REMEMBERED_RUNS:
                self._kept.popitem(last=False)
