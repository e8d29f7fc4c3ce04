"""What tests of the agent share: a sandbox in memory, and models that answer by what stands in the conversation."""

import hashlib
import json
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Self

from typing_extensions import override

from coder.sandbox.protocol import Background, Image, Sandbox, Snapshot
from coder.types import ExecResult, Message, ToolCall

_SUMMARISED = re.compile(r"All steps up to step (\d+) were replaced")
SUMMARY_ASKED = "The conversation so far is about to be shortened"


class MemorySandbox(Sandbox):
    """Files in a dictionary. Its diff is a JSON object of all files; `commands` says what a command prints."""

    def __init__(self, files: Mapping[str, bytes], commands: Callable[[str], str] = str) -> None:
        self._start = dict(files)
        self.files = dict(files)
        self._commands = commands

    @property
    @override
    def image(self) -> Image:
        return Image(reference="memory", digest="memory")

    @property
    @override
    def background(self) -> Background:
        raise NotImplementedError

    @override
    def exec(
        self, command: str, *, timeout_s: float, cwd: str = ".", env: Mapping[str, str] | None = None
    ) -> ExecResult:
        output = self._commands(command)
        return ExecResult(exit_code=0, output=output, duration_s=0.0, output_bytes=len(output))

    @override
    def read(self, path: str, *, max_bytes: int = 4_000_000) -> bytes:
        if path not in self.files:
            raise FileNotFoundError(path)
        return self.files[path]

    @override
    def write(self, path: str, data: bytes) -> None:
        self.files[path] = data

    @override
    def list_files(self) -> tuple[str, ...]:
        return tuple(sorted(self.files))

    @override
    def checkpoint(self) -> str:
        return hashlib.sha256(self._text().encode()).hexdigest()

    @override
    def snapshot(self, known_tree: str) -> Snapshot | None:
        tree = self.checkpoint()
        return None if tree == known_tree else Snapshot(tree, self.diff())

    @override
    def diff(self) -> str:
        return self._text() if self.files != self._start else ""

    @override
    def restore(self, diff: str) -> None:
        stored: dict[str, str] = json.loads(diff) if diff else {}
        self.files = {name: text.encode() for name, text in stored.items()} if diff else dict(self._start)

    @override
    def close(self) -> None:
        """Nothing is held."""

    @override
    def __enter__(self) -> Self:
        return self

    @override
    def __exit__(self, *exc: object) -> None:
        self.close()

    def _text(self) -> str:
        return json.dumps({name: data.decode() for name, data in sorted(self.files.items())})


def calls(number: int, *wanted: tuple[str, Mapping[str, object]]) -> Message:
    """An answer that makes these calls; `number` makes its ids unique in a run."""
    made = tuple(
        ToolCall(id=f"functions.{name}:{number}.{place}", name=name, arguments=json.dumps(arguments))
        for place, (name, arguments) in enumerate(wanted)
    )
    return Message(role="assistant", reasoning_content=f"thought {number}", tool_calls=made)


def steps_done(messages: Sequence[Message]) -> int:
    """How many steps a conversation stands for: its own, and those that a summary took the place of."""
    found = [_SUMMARISED.match(m.content or "") for m in messages if m.role == "user"]
    before = max((int(match[1]) for match in found if match), default=0)
    return before + len([m for m in messages if m.role == "assistant"])


def is_whole(messages: Sequence[Message]) -> bool:
    """Whether every call is answered once, in order, right after its message, and nothing else is a tool message."""
    waiting: list[str] = []
    for message in messages:
        if message.role == "tool":
            if not waiting or message.tool_call_id != waiting.pop(0):
                return False
        elif waiting:
            return False
        else:
            waiting = [call.id for call in message.tool_calls]
    return not waiting
