"""A run that is corrected: by reminders, by going back to its best state, by people, and at its end."""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest

from coder.agent.loop import Agent
from coder.model.scripted import ScriptedModel, Turn
from coder.tools.base import Arguments, Toolbox
from coder.tools.edit import EditTool
from coder.tools.files import Read
from coder.tools.submit import Submit
from coder.trace.events import Continued, Entry, Event, Opened, Solved, Summarised, Told, ToolFinished
from coder.trace.journal import JournalStore
from coder.trace.state import state_of
from coder.types import Followup, Limits, Message, Note, Outcome, TestCounts, ToolOutput
from tests.unit.agent_values import MemorySandbox, calls
from tests.values import NoSyntax, scripted_profile

FILES = {"a.py": b"one\n"}
LOOK = ("submit", {"title": "t", "summary": "s"})
SUBMIT = ("submit", {"title": "t", "summary": "s", "confirm": True})


class DiedError(BaseException):
    """The process is gone: nothing of ours may catch it."""


class Tests:
    """Stands for `run_tests`: a test passes for each line `good`, one fails for each line `bad`."""

    name = "run"
    arguments = Arguments
    mutates = True
    __test__ = False

    def __init__(self, sandbox: MemorySandbox) -> None:
        self._sandbox = sandbox

    def run(self, arguments: Arguments) -> ToolOutput:
        del arguments
        text = self._sandbox.files["a.py"].decode()
        counts = TestCounts(passed=text.count("good"), failed=text.count("bad"))
        return ToolOutput(content=f"{counts.passed} passed, {counts.failed} failed", tests=counts)


class Ask:
    """Stands for `ask`."""

    name = "recall"
    arguments = Arguments
    mutates = False

    def run(self, arguments: Arguments) -> ToolOutput:
        del arguments
        return ToolOutput(content="asked", question="Which gate?")


class World:
    """One journal, one mailbox, and processes that come and go."""

    def __init__(self, folder: Path) -> None:
        self.store = JournalStore(folder / "journal.sqlite")
        self.mail: list[Followup] = []
        self.text = ""
        self.requests = 0

    def solve(
        self, turns: Sequence[Turn], limits: Limits | None = None, listener: Callable[[Entry], None] | None = None
    ) -> Outcome:
        journal = self.store.open("run", listeners=[listener] if listener else [])
        sandbox = MemorySandbox(FILES)
        shell = Tests(sandbox)
        tools = Toolbox([EditTool(sandbox, NoSyntax()), Read(sandbox), shell, Ask(), Submit(sandbox, journal)])
        if not journal.entries:
            opening = (Message(role="system", content="<data-0123456789abcdef>"), Message(role="user", content="fix"))
            journal.append(Opened(messages=opening, tools=tools.specs))
        if (checkpoint := state_of(journal.events).checkpoint) is not None:
            sandbox.restore(journal.blob(checkpoint.diff_blob).decode())
        model = ScriptedModel(scripted_profile(), turns)
        agent = Agent(
            model=model,
            toolbox=tools,
            sandbox=sandbox,
            journal=journal,
            limits=limits or Limits(),
            inbox=lambda: tuple(self.mail),
        )
        try:
            return agent.solve()
        finally:
            self.text = sandbox.files["a.py"].decode()
            self.requests += len(model.requests)

    @property
    def events(self) -> tuple[Event, ...]:
        return self.store.open("run").events

    @property
    def told(self) -> list[Told]:
        return [e for e in self.events if isinstance(e, Told)]


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    world = World(tmp_path)
    yield world
    world.store.close()


def write(number: int, text: str) -> Message:
    return calls(number, ("edit", {"path": "a.py", "content": text}))


def test(number: int) -> Message:
    return calls(number, ("run", {}))


test.__test__ = False  # type: ignore[attr-defined]  # a turn of the script, whatever pytest thinks of its name


def says(text: str) -> Message:
    return Message(role="assistant", content=text)


def steer(name: str, kind: str = "steer", *, trusted: bool = True) -> Followup:
    note = Note(author="ann", body="use the other gate", trusted=trusted)
    return Followup.model_validate({"id": name, "kind": kind, "note": note})


def look(number: int) -> Message:
    return calls(1_000 + number, ("read", {"path": "a.py", "lines": number + 1}))


# --- circles ----------------------------------------------------------------------------------------------------------


def back_and_forth(times: int) -> list[Turn]:
    """Edits that take each other back, with a look between them that is never the same."""
    turns: list[Turn] = []
    for n in range(times):
        turns += [write(10 * n, "one\ngood\nbad\n"), write(10 * n + 1, "one\nbad\n"), look(n)]
    return turns


def test_edits_that_take_each_other_back_are_reminded_then_set_back_to_the_best_then_stopped(world: World) -> None:
    best = "good\ngood\ngood\nbad\n"

    outcome = world.solve([write(900, best), test(901), *back_and_forth(20)])

    stuck = [t for t in world.told if t.reason == "stuck"]
    assert outcome.kind == "stuck"
    assert outcome.reason == "changes that take each other back, 4 times in a row"
    assert [t.checkpoint is not None for t in stuck] == [False, True, False, True, False]
    assert "set back to how it was after step 1, the best that tests have seen (3 passed, 1 failed)" in (
        stuck[1].message.content or ""
    )
    assert world.text == best


def test_killed_right_after_the_way_back_it_goes_on_from_there(world: World) -> None:
    best = "good\ngood\nbad\n"
    turns = [write(900, best), test(901), *back_and_forth(3)]

    def die(entry: Entry) -> None:
        if isinstance(entry.event, Told) and entry.event.checkpoint is not None:
            raise DiedError

    with pytest.raises(DiedError):
        world.solve(turns, listener=die)
    outcome = world.solve([calls(50, LOOK), calls(51, SUBMIT)])

    assert outcome.kind == "submitted"
    assert world.text == best
    assert len([t for t in world.told if t.checkpoint is not None]) == 1


def test_without_any_test_that_was_seen_nothing_is_set_back(world: World) -> None:
    world.solve([*back_and_forth(3), calls(50, LOOK), calls(51, SUBMIT)])

    stuck = [t for t in world.told if t.reason == "stuck"]
    assert [t.checkpoint for t in stuck] == [None, None]
    assert "write a new plan" in (stuck[1].message.content or "")


def test_test_runs_that_bring_nothing_are_noticed(world: World) -> None:
    turns: list[Turn] = [write(1, "good\nbad\n"), test(2)]
    for n in range(3, 40):
        turns += [write(2 * n, f"good\nbad\n# {n}\n"), test(2 * n + 1)]

    outcome = world.solve(turns)

    assert outcome.kind == "stuck"
    assert outcome.reason == "16 test runs of changed code without a test more that passes"
    assert [t.reason for t in world.told if t.reason == "stuck"] == ["stuck", "stuck"]


def test_progress_is_no_circle_and_red_tests_that_are_added_make_nothing_worse(world: World) -> None:
    turns: list[Turn] = []
    for n in range(1, 20):
        turns += [write(2 * n, "good\n" * n + "bad\n" * n), test(2 * n + 1)]

    outcome = world.solve([*turns, calls(900, LOOK), calls(901, SUBMIT)])

    assert outcome.kind == "submitted"
    assert world.told == []


def test_the_same_error_again_is_named(world: World) -> None:
    turns: list[Turn] = []
    for n in range(4):
        turns += [calls(2 * n, ("read", {"path": "gone.py", "start": n + 1})), write(2 * n + 1, f"good\n# {n}\n")]

    world.solve([*turns, calls(900, LOOK), calls(901, SUBMIT)])

    assert ["the same error 4 times" in (t.message.content or "") for t in world.told] == [True]


def test_when_tests_get_worse_it_is_said_once(world: World) -> None:
    turns: list[Turn] = [
        write(1, "good\n" * 5),
        test(2),
        write(3, "good\n" * 3),
        test(4),
        write(5, "good\n" * 4),
        test(6),
        write(7, "good\n" * 5),
        test(8),
    ]

    world.solve([*turns, calls(900, LOOK), calls(901, SUBMIT)])

    assert [t.reason for t in world.told] == ["worse"]
    assert "after step 1, where 5 passed" in (world.told[0].message.content or "")


# --- the end at a limit -----------------------------------------------------------------------------------------------


def test_at_a_limit_the_best_state_is_what_stands_and_the_model_has_the_last_word(world: World) -> None:
    turns: list[Turn] = [
        write(1, "good\n" * 5),
        test(2),
        write(3, "good\n"),
        test(4),
        says("Found: the gate. Missing: all."),
    ]

    outcome = world.solve(turns, Limits(max_steps=4))

    assert outcome.kind == "limit"
    assert outcome.submission is not None
    assert outcome.submission.summary == "Found: the gate. Missing: all."
    assert world.text == "good\n" * 5
    assert isinstance(world.events[-1], Solved)


@pytest.mark.parametrize(("first", "kept"), [("good\n", "good\n"), ("good\nbad\n", "untested\n")])
def test_edits_that_nobody_tested_are_given_up_only_for_a_green_state(world: World, first: str, kept: str) -> None:
    turns: list[Turn] = [write(1, first), test(2), write(3, "untested\n")]

    world.solve(turns, Limits(max_steps=3))

    assert world.text == kept


def test_killed_after_its_last_words_it_does_not_ask_for_them_again(world: World) -> None:
    def die(entry: Entry) -> None:
        if isinstance(entry.event, Summarised):
            raise DiedError

    with pytest.raises(DiedError):
        world.solve([write(1, "good\n"), says("so far")], Limits(max_steps=1), listener=die)
    outcome = world.solve([], Limits(max_steps=1))

    assert outcome.submission is not None
    assert outcome.submission.summary == "so far"
    assert world.requests == 2


def test_without_money_for_last_words_there_are_none(world: World) -> None:
    outcome = world.solve([write(1, "good\n")], Limits(max_cost_usd=0.0001))

    assert (outcome.kind, outcome.submission, world.requests) == ("limit", None, 0)


def test_at_a_limit_after_the_last_look_the_words_for_the_work_are_those_of_the_look(world: World) -> None:
    outcome = world.solve([write(1, "good\n"), calls(2, LOOK)], Limits(max_steps=2))

    assert outcome.kind == "limit"
    assert outcome.submission is not None
    assert (outcome.submission.title, outcome.submission.summary) == ("t", "s")
    assert world.requests == 2


def test_at_a_limit_after_more_changes_than_were_looked_at_the_model_has_the_last_word(world: World) -> None:
    turns: list[Turn] = [write(1, "good\n"), calls(2, LOOK), write(3, "better\n"), says("half done")]

    outcome = world.solve(turns, Limits(max_steps=3))

    assert outcome.submission is not None
    assert outcome.submission.summary == "half done"


def test_who_only_says_that_it_is_done_after_the_last_look_is_reminded_and_its_work_kept(world: World) -> None:
    reminded = world.solve([write(1, "good\n"), calls(2, LOOK), says("Done!"), calls(3, SUBMIT)])

    assert reminded.kind == "submitted"
    assert [t.reason for t in world.told] == ["no_tool_call"]


def test_who_never_says_more_than_that_it_is_done_ends_with_the_words_of_its_look(world: World) -> None:
    outcome = world.solve([write(1, "good\n"), calls(2, LOOK), *[says("Done!")] * 3])

    assert (outcome.kind, outcome.submission and outcome.submission.summary) == ("stuck", "s")
    assert world.text == "good\n"


def test_what_is_changed_in_the_answer_that_hands_in_was_not_looked_at(world: World) -> None:
    both = calls(3, SUBMIT, ("edit", {"path": "a.py", "content": "bad\n"}))

    outcome = world.solve([write(1, "good\n"), calls(2, LOOK), both, calls(4, SUBMIT), calls(5, SUBMIT)])

    shown = [e.output.look for e in world.events if isinstance(e, ToolFinished) and e.output.look]
    assert outcome.kind == "submitted"
    assert len(shown) == 2
    assert world.requests == 5


# --- people -----------------------------------------------------------------------------------------------------------


def test_what_people_say_meanwhile_is_passed_on_once(world: World) -> None:
    def meanwhile(messages: Sequence[Message]) -> Message:
        world.mail.append(steer("m1"))
        return calls(1, ("read", {"path": "a.py"}))

    outcome = world.solve([meanwhile, calls(2, ("run", {})), calls(3, LOOK), calls(4, SUBMIT)])

    assert outcome.kind == "submitted"
    assert [(t.reason, t.followup, t.step) for t in world.told] == [("followup", "m1", 2)]
    assert "use the other gate" in (world.told[0].message.content or "")


def test_a_stop_ends_the_segment_with_the_work_kept(world: World) -> None:
    def meanwhile(messages: Sequence[Message]) -> Message:
        world.mail.append(steer("m1", "stop"))
        return write(1, "good\n")

    outcome = world.solve([meanwhile, calls(2, LOOK), calls(3, SUBMIT)])

    assert (outcome.kind, outcome.reason, outcome.submission) == ("stopped", "ann stopped it", None)
    assert world.text == "good\n"
    assert world.requests == 1


def test_a_stop_holds_when_the_process_died_before_it_wrote_so_down(world: World) -> None:
    def meanwhile(messages: Sequence[Message]) -> Message:
        world.mail.append(steer("m1", "stop"))
        return write(1, "good\n")

    def die(entry: Entry) -> None:
        if isinstance(entry.event, Told):
            raise DiedError

    with pytest.raises(DiedError):
        world.solve([meanwhile], listener=die)
    outcome = world.solve([calls(2, LOOK), calls(3, SUBMIT)])

    assert outcome.kind == "stopped"
    assert len(world.told) == 1


def test_a_stop_of_an_earlier_segment_does_not_stop_the_next(world: World) -> None:
    world.mail.append(steer("m1", "stop"))
    world.solve([])
    journal = world.store.open("run")
    journal.append(Continued(followup=steer("m2", "continue")))

    outcome = world.solve([calls(2, LOOK), calls(3, SUBMIT)])

    assert outcome.kind == "submitted"


def test_a_question_ends_the_segment(world: World) -> None:
    outcome = world.solve([calls(1, ("recall", {}))])

    assert (outcome.kind, outcome.reason) == ("asked", "Which gate?")
    assert world.requests == 1
