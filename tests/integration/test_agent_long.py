"""Three hundred steps: killed at fifty of them, with faults on every fifth turn, through four windows of output."""

import random
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import pairwise
from pathlib import Path

import pytest

from coder.agent.loop import Agent
from coder.model.scripted import ScriptedModel, Turn
from coder.tools.base import Toolbox
from coder.tools.edit import EditTool
from coder.tools.files import Read
from coder.tools.plan import Plan
from coder.tools.recall import RecallTool
from coder.tools.run import Run
from coder.tools.submit import Submit
from coder.trace.events import Answered, Entry, Event, Opened, Reduced, Resumed, Summarised, Told, ToolFinished
from coder.trace.journal import JournalStore
from coder.trace.recall import Recall
from coder.trace.state import conversation, state_of
from coder.types import Completion, Limits, Message, Outcome, ToolCall, Usage
from tests.unit.agent_values import SUMMARY_ASKED, MemorySandbox, calls, is_whole, steps_done
from tests.values import NoSyntax, scripted_profile

STEPS = 300
FACT = "the gate opens with 7319-heron"
FILES = {f"module_{n}.py": b"x = 0\n" for n in range(20)}
LIMITS = Limits(max_steps=5_000, max_cost_usd=1_000, max_tokens=10**9)


class DiedError(BaseException):
    """The process is gone: nothing of ours may catch it."""


def work(number: int) -> Message:
    """The answer of step `number`, from 1."""
    path = f"module_{number % 20}.py"
    if number >= STEPS - 1:  # the last look, and the word
        return calls(number, ("submit", {"title": "t", "summary": "s", "confirm": True}))
    if number == STEPS - 20:
        return calls(number, ("recall", {"words": "gate opens"}))
    choices: list[list[tuple[str, Mapping[str, object]]]] = [
        [("read", {"path": path})],
        [("edit", {"path": path, "edits": [{"after_line": 0, "new": f"# {number}"}]}), ("read", {"path": path})],
        [("run", {"command": f"tests {number}"})],
        [("plan", {"items": [{"text": f"step {number}", "status": "doing"}]})],
    ]
    return calls(number, *choices[number % 4])


def printed(command: str) -> str:
    """What the sandbox's commands print: much, and once the fact."""
    return f"{FACT}\n" if command == "tests 6" else f"{command}\n" + "a line of output that is read once\n" * 40


class World:
    """One journal, and processes that come and go."""

    def __init__(self, folder: Path, commands: Callable[[str], str] = printed) -> None:
        self.store = JournalStore(folder / "journal.sqlite")
        self._commands = commands
        self.asked: list[tuple[int, Sequence[Message]]] = []
        """Each question for a step, with the conversation that was sent."""
        self.tree = ""

    def answer(self, messages: Sequence[Message]) -> Message:
        if (messages[-1].content or "").startswith(SUMMARY_ASKED):
            return Message(role="assistant", content=f"Goal: go on after {steps_done(messages)}.")
        number = steps_done(messages) + 1
        self.asked.append((number, messages))
        return work(number)

    def solve(
        self,
        answer: Callable[[Sequence[Message]], Message | Completion] | None = None,
        *,
        listener: Callable[[Entry], None] | None = None,
        window_tokens: int = 262_144,
    ) -> Outcome:
        journal = self.store.open("run", listeners=[listener] if listener else [])
        sandbox = MemorySandbox(FILES, self._commands)
        recall = Recall(journal)
        tools = Toolbox(
            [
                EditTool(sandbox, NoSyntax()),
                Plan(),
                Read(sandbox),
                RecallTool(recall),
                Run(sandbox),
                Submit(sandbox, journal),
            ]
        )
        if journal.entries:
            journal.append(Resumed(version="test"))
        else:
            opening = (Message(role="system", content="work"), Message(role="user", content="fix it"))
            journal.append(Opened(messages=opening, tools=tools.specs))
        if (checkpoint := state_of(journal.events).checkpoint) is not None:
            sandbox.restore(journal.blob(checkpoint.diff_blob).decode())
        turns: list[Turn] = [answer or self.answer] * (STEPS * 4)
        model = ScriptedModel(scripted_profile(window_tokens=window_tokens), turns)
        try:
            return Agent(model=model, toolbox=tools, sandbox=sandbox, journal=journal, limits=LIMITS).solve()
        finally:
            recall.close()
            self.tree = sandbox.checkpoint()

    @property
    def events(self) -> tuple[Event, ...]:
        return self.store.open("run").events


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    world = World(tmp_path)
    yield world
    world.store.close()


def recalled(world: World) -> bool:
    return any(FACT in e.output.content for e in world.events if isinstance(e, ToolFinished) and e.name == "recall")


def test_killed_fifty_times_it_sends_and_leaves_the_same_and_buys_nothing_twice(tmp_path: Path) -> None:
    (tmp_path / "whole").mkdir()
    (tmp_path / "killed").mkdir()
    whole, killed = World(tmp_path / "whole"), World(tmp_path / "killed")
    whole.solve()
    lines = len(whole.events)
    points = sorted(random.Random(7).sample(range(1, lines), 50))

    for point in points:

        def die(entry: Entry, at: int = point) -> None:
            if entry.seq >= at:
                raise DiedError

        with pytest.raises(DiedError):
            killed.solve(listener=die)
    outcome = killed.solve()

    assert outcome.kind == "submitted"
    assert killed.tree == whole.tree
    assert [number for number, _ in killed.asked] == list(range(1, STEPS + 1))
    assert [sent for _, sent in killed.asked] == [sent for _, sent in whole.asked]
    assert len([e for e in killed.events if isinstance(e, Summarised)]) == len(
        [e for e in whole.events if isinstance(e, Summarised)]
    )
    whole.store.close()
    killed.store.close()


def test_three_hundred_steps_stay_whole_and_what_was_said_at_the_fifth_is_found_again(world: World) -> None:
    outcome = world.solve()

    sent = [messages for _, messages in world.asked]
    assert outcome.kind == "submitted"
    assert all(is_whole(messages) for messages in sent)
    assert not any(FACT in (m.content or "") for m in sent[STEPS - 30])
    assert recalled(world)
    assert 3 <= len([e for e in world.events if isinstance(e, Summarised)]) <= 12


def test_each_request_begins_with_the_one_before_but_after_a_reduction(world: World) -> None:
    world.solve()

    sent = [messages for _, messages in world.asked]
    breaks = [n for n, (one, two) in enumerate(pairwise(sent)) if two[: len(one)] != one]
    reductions = [e for e in world.events if isinstance(e, Summarised | Reduced)]
    assert len(breaks) == len(reductions)


@pytest.mark.parametrize("seed", range(3))
def test_with_faults_on_a_fifth_of_the_turns_it_ends_right(world: World, seed: int) -> None:
    chance = random.Random(seed)
    faults = list[str]()

    def answer(messages: Sequence[Message]) -> Message | Completion:
        right = world.answer(messages)
        if chance.random() >= 0.2 or not right.tool_calls:
            return right
        fault = chance.choice(["malformed", "silent", "cut", "unknown", "arguments"])
        faults.append(fault)
        # A faulty turn with a call counts as a step: what it should have done is then never done, so it is done twice.
        return _faulty(fault, right)

    outcome = world.solve(answer)

    assert outcome.kind == "submitted"
    assert len(faults) > 30
    assert set(faults) == {"malformed", "silent", "cut", "unknown", "arguments"}
    assert all(is_whole(messages) for _, messages in world.asked)
    for event in world.events:
        if isinstance(event, ToolFinished) and event.call_id.startswith("fault"):
            assert event.output.is_error


def _faulty(fault: str, right: Message) -> Message | Completion:
    """What goes wrong in front of the right calls, which are made all the same; or an answer that says nothing."""
    if fault == "silent":
        return Message(role="assistant", content="I am done, I think.")
    if fault == "cut":
        cut = ToolCall(id=f"fault{right.tool_calls[0].id}", name="run", arguments='{"command": "rm -rf ')
        message = right.model_copy(update={"tool_calls": (*right.tool_calls, cut)})
        return Completion(message=message, finish_reason="length", usage=Usage(), cost_usd=0.0, model="m")
    name, arguments = {
        "malformed": ("run", '{"command": '),
        "unknown": ("bash", '{"command": "ls"}'),
        "arguments": ("read", '{"file": "a"}'),
    }[fault]
    wrong = ToolCall(id=f"fault{right.tool_calls[0].id}", name=name, arguments=arguments)
    return right.model_copy(update={"tool_calls": (wrong, *right.tool_calls)})


def test_three_megabytes_of_output_go_through_a_window_that_they_overflow_four_times(tmp_path: Path) -> None:
    # No summary is ever usable here, so that the window itself is what forces the conversation to be shortened.
    def much(command: str) -> str:
        return FACT if command == "tests 6" else "".join(f"{command} line {n} of the output\n" for n in range(1_500))

    world = World(tmp_path, much)

    def answer(messages: Sequence[Message]) -> Message:
        if (messages[-1].content or "").startswith(SUMMARY_ASKED):
            return Message(role="assistant", content="")
        number = steps_done(messages) + 1
        if number not in {1, STEPS, STEPS - 20} and number % 4 != 2:
            world.asked.append((number, messages))
            return calls(number, ("run", {"command": f"tests {number}"}))
        return world.answer(messages)

    outcome = world.solve(answer)

    printed_chars = sum(len(e.output.content) for e in world.events if isinstance(e, ToolFinished) and e.name == "run")
    assert outcome.kind == "submitted"
    assert printed_chars > 3_000_000
    assert len([e for e in world.events if isinstance(e, Reduced)]) >= 4
    assert all(is_whole(messages) for _, messages in world.asked)
    assert max(sum(len(m.content or "") for m in messages) for _, messages in world.asked) < 262_144 * 4
    assert recalled(world)
    world.store.close()


def test_two_runs_in_one_process_do_not_meet(tmp_path: Path) -> None:
    worlds = []
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        worlds.append(World(tmp_path / name))
    threads = [threading.Thread(target=world.solve) for world in worlds]

    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)

    one, two = worlds
    assert one.tree == two.tree != ""
    assert conversation(one.events) == conversation(two.events)
    assert [type(e) for e in one.events if not isinstance(e, Told)] == [
        type(e) for e in two.events if not isinstance(e, Told)
    ]
    assert len([e for e in one.events if isinstance(e, Answered)]) == STEPS
    for world in worlds:
        world.store.close()
