"""A long run killed by SIGKILL at random instants, and continued each time: a part of `benchmarks.agent`."""

import random
import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import httpx

from coder.trace.events import Answered
from coder.trace.journal import JournalStore

if TYPE_CHECKING:
    import subprocess

KILLS = 10
"""Of one run, when it has 300 steps."""
_LONGEST_STEP_S = 0.03
_DEADLINE_S = 300.0


class Agents(Protocol):
    """A scripted model, and agents that are run against it in processes of their own."""

    base: str
    folder: Path

    def start(self, journal: str) -> "subprocess.Popen[str]":
        """An agent that begins or goes on."""
        ...

    def agent(self, journal: str) -> dict[str, Any]:
        """An agent that begins or goes on, to its end."""
        ...

    def report(self) -> dict[str, Any]:
        """What the model saw since the last report."""
        ...

    def close(self) -> None:
        """End the model."""
        ...


def kills(bench: Agents, steps: int, *, runs: int, seed: int = 7) -> dict[str, Any]:
    """`runs` runs in the Docker sandbox, each killed again and again, against one that was left alone.

    The instants are random: between two steps, in a tool, in a request, in a write. A run counts when its tree is the
    same, each of its requests held the same conversation as the undisturbed run's, and no answer that the journal had was
    asked for again.
    """
    draw, each = random.Random(seed), max(2, KILLS * steps // 300)
    good = repeated = 0
    try:
        tree, wire = bench.agent("whole.sqlite")["tree"], bench.report()["wire"]
        for number in range(runs):
            marks = sorted(draw.sample(range(1, steps - 1), each))
            found = _killed(bench, f"killed-{number}.sqlite", [(mark, draw.random()) for mark in marks])
            same_tree, same_wire = found["tree"] == tree, found["wire"] == wire
            repeated += found["repeated"]
            good += each if same_tree and same_wire and not found["repeated"] else 0
            words = f"tree {'same' if same_tree else 'OTHER'}, wire {'same' if same_wire else 'OTHER'}"
            print(f"killed at steps {marks}: {words}, {found['repeated']} answers bought twice", flush=True)
    finally:
        bench.close()
    return {"kill_points": runs * each, "kill_points_ok": good, "repeated_answers": repeated}


def _killed(bench: Agents, journal: str, marks: list[tuple[int, float]]) -> dict[str, Any]:
    wire: dict[str, str] = {}
    repeated = answered = 0

    def take(seen: Mapping[str, Any]) -> None:
        nonlocal repeated
        wire.update(seen["wire"])
        repeated += len([step for step in seen["asked"] if step < answered])

    for step, part in marks:
        with bench.start(journal) as process:
            _await(bench, process, step)
            time.sleep(part * _LONGEST_STEP_S)
            process.kill()
        take(bench.report())
        answered = _answers(bench.folder / journal)
    tree = bench.agent(journal)["tree"]
    take(bench.report())
    return {"tree": tree, "wire": wire, "repeated": repeated}


def _await(bench: Agents, process: "subprocess.Popen[str]", step: int) -> None:
    """Wait until the model is asked for `step`."""
    deadline = time.monotonic() + _DEADLINE_S
    with httpx.Client(trust_env=False) as client:
        while process.poll() is None and time.monotonic() < deadline:
            if client.get(f"{bench.base}/asked").json()["step"] >= step:
                return
            time.sleep(0.002)
    raise RuntimeError(f"the agent ended, or hung, before step {step}")


def _answers(path: Path) -> int:
    store = JournalStore(path)
    try:
        return len([event for event in store.open("bench").events if isinstance(event, Answered)])
    finally:
        store.close()
