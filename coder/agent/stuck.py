"""Seeing that a run goes in circles, and what to do: remind, then set the work back to its best and ask for a new plan, then stop."""

import hashlib
import json
import re
from collections import deque
from dataclasses import dataclass
from functools import lru_cache
from itertools import takewhile
from typing import Literal

from coder.trace.events import Answered, Event, Reopened, Told, ToolFinished
from coder.types import ToolOutput

Kind = Literal["equal", "to_and_fro", "oscillation", "error", "no_progress", "silent", "failed"]
Rung = Literal["remind", "replan", "stop"]

_NEVER = 1 << 30


@dataclass(frozen=True, slots=True)
class _Ladder:
    """The lengths of a circle at which something is done about it, and how it is described."""

    remind: tuple[int, ...]
    replan: int
    stop: int
    words: str

    def rung(self, length: int, said: int) -> Rung | None:
        """What is due at `length`, when the model was last told at `said`."""
        if length >= self.stop:
            return "stop"
        due = max((n for n in (*self.remind, self.replan) if said < n <= length), default=0)
        return None if not due else "replan" if due == self.replan else "remind"


LADDERS: dict[Kind, _Ladder] = {
    # kimi-cli reminds at 3, 5 and 8 equal calls and stops at 12; OpenHands' detector takes six steps to and fro.
    "equal": _Ladder((3, 5), 8, 12, "the same call {n} times in a row with the same result"),
    "to_and_fro": _Ladder((6,), 9, 12, "to and fro between the same two calls for {n} steps"),
    "oscillation": _Ladder((2,), 4, 8, "changes that take each other back, {n} times in a row"),
    "error": _Ladder((4,), 7, 12, "the same error {n} times"),
    "no_progress": _Ladder((5,), 9, 16, "{n} test runs of changed code without a test more that passes"),
    "silent": _Ladder((), _NEVER, 3, "{n} answers in a row without a tool call"),
    "failed": _Ladder((), _NEVER, 10, "{n} tool calls in a row failed"),
}
_STOP_AT = 12
_SAME_MATTER_STEPS = 6
"""An error that comes back after more steps than these is met again, not fought with."""
_MIN_TO_AND_FRO = 6
MAX_NEW_PLANS = 2
"""Times that new plans are asked for until somebody else says something new."""


@dataclass(frozen=True, slots=True)
class Circle:
    """A circle that something is to be done about now."""

    kind: Kind
    rung: Rung
    words: str


class Watch:
    """Follows a run's events and says when it goes in circles."""

    def __init__(self) -> None:
        self._reset()

    def _reset(self) -> None:
        self._length: dict[Kind, int] = {}
        self._said: dict[Kind, int] = {}
        """The length of which the model was told, for each circle that goes on."""
        self._replans = 0
        self._shapes: deque[str] = deque(maxlen=_STOP_AT + 1)
        """The last steps as hashes of their calls and results."""
        self._open: list[str] | None = None
        """The step that is under way, in the same way."""
        self._trees: deque[str] = deque(maxlen=2)
        self._tree = ""
        self._error = ("", 0)
        """The last one, and its step."""
        self._passed: dict[tuple[str, ...], tuple[int, str]] = {}
        """For each selection of tests: how many passed at best, and the tree of the last run."""

    def take(self, event: Event) -> None:
        """Move on by one event."""
        match event:
            case Answered():
                self._answered(event)
            case ToolFinished():
                self._finished(event)
            case Told(reason="stuck"):
                circle = self.circle()
                self._replans += circle is not None and circle.rung == "replan"
                self._said = dict(self._length)
                self._note_tree(event.checkpoint.tree_sha if event.checkpoint else "")
            case Told(reason="objection" | "followup") | Reopened():
                self._reset()  # something new was said: nothing repeats yet
            case _:
                pass

    def circle(self) -> Circle | None:
        """What is due now, the gravest first; None when nothing is."""
        self._close()
        found: list[Circle] = []
        for kind, ladder in LADDERS.items():
            length = self._length.get(kind, 0)
            if rung := ladder.rung(length, self._said.get(kind, 0)):
                rung = "stop" if rung == "replan" and self._replans >= MAX_NEW_PLANS else rung
                found.append(Circle(kind, rung, ladder.words.format(n=length)))
        order: tuple[Rung, ...] = ("stop", "replan", "remind")
        return min(found, key=lambda circle: order.index(circle.rung), default=None)

    def _set(self, kind: Kind, length: int) -> None:
        if length < self._length.get(kind, 0):
            self._said.pop(kind, None)  # a new circle, of which nothing was said
        self._length[kind] = length

    def _grow(self, kind: Kind) -> None:
        self._set(kind, self._length.get(kind, 0) + 1)

    def _answered(self, event: Answered) -> None:
        self._close()
        calls = event.completion.message.tool_calls
        self._open = [f"{call.name}({_canonical(call.arguments)})" for call in calls]
        if calls:
            self._set("silent", 0)
        else:
            self._grow("silent")

    def _finished(self, event: ToolFinished) -> None:
        if self._open is not None:
            self._open.append(event.output.content)
        if event.checkpoint is not None and event.name != "rollback":
            self._changed(event.checkpoint.tree_sha)
        elif event.checkpoint is not None:
            self._note_tree(event.checkpoint.tree_sha)
        if not event.output.is_error or event.name in {"run", "run_tests"}:
            self._set("failed", 0)
        else:
            self._grow("failed")
        if event.output.is_error:
            self._failed_with(error_of(event.output), event.step)
        self._tested(event.output)

    def _failed_with(self, error: str, step: int) -> None:
        """Looking around and editing between two errors does not make them different ones; much other work does."""
        last, at = self._error
        if error:
            again = error == last and step - at <= _SAME_MATTER_STEPS
            self._set("error", self._length.get("error", 0) + 1 if again else 1)
            self._error = error, step

    def _changed(self, tree: str) -> None:
        """A change to what was there before the last change, again and again, is an oscillation (A, B, A, B)."""
        self._set(
            "oscillation", self._length.get("oscillation", 0) + 1 if self._trees and tree == self._trees[0] else 0
        )
        self._note_tree(tree)

    def _note_tree(self, tree: str) -> None:
        if tree:
            self._trees.append(tree)
            self._tree = tree

    def _tested(self, output: ToolOutput) -> None:
        tests = output.tests
        if tests is None:
            return
        best, tree = self._passed.get(tests.selection, (-1, ""))
        if tests.passed > best or not tests.failed + tests.errored:
            self._set("no_progress", 0)
        elif tree != self._tree:
            self._grow("no_progress")
        self._passed[tests.selection] = (max(best, tests.passed), self._tree)

    def _close(self) -> None:
        """The step under way is whole: hold it against those before."""
        if self._open is None:
            return
        self._shapes.append(hashlib.sha256("\0".join(self._open).encode("utf-8", "replace")).hexdigest())
        self._open = None
        backwards = list(reversed(self._shapes))
        self._set("equal", len(list(takewhile(lambda shape: shape == backwards[0], backwards))))
        pairs = takewhile(lambda pair: pair[1] == backwards[pair[0] % 2], enumerate(backwards))
        differ = len(backwards) >= _MIN_TO_AND_FRO and backwards[0] != backwards[1]
        self._set("to_and_fro", len(list(pairs)) if differ else 0)


_PASSING_LINE = re.compile(r"\[exit code \d+.*\]|\[killed after .*\]")
_VARIES = re.compile(r"0x[0-9a-f]+|\d+(\.\d+)?", re.IGNORECASE)


def error_of(output: ToolOutput) -> str:
    """What makes an error this one and no other: its last lines without numbers; empty when there are none."""
    lines = [line.strip() for line in output.content.splitlines()]
    told = [_VARIES.sub("#", line) for line in lines if line and not _PASSING_LINE.fullmatch(line)]
    return "\n".join(told[-3:])


@lru_cache(maxsize=512)
def _canonical(arguments: str) -> str:
    try:
        return json.dumps(json.loads(arguments, strict=False), sort_keys=True)
    except (ValueError, RecursionError):
        return arguments
