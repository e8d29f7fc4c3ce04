"""The loop with a scripted model, a real runner and a real journal; killed at any instant and continued."""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

import pytest

from coder.agent.loop import Agent
from coder.errors import ContextOverflowError
from coder.model.profile import ModelProfile
from coder.model.scripted import ScriptedModel, Turn
from coder.sandbox.protocol import Image, Sandbox, SandboxProvider, TreePack
from coder.tools.base import Toolbox
from coder.tools.edit import EditTool
from coder.tools.files import Read
from coder.tools.plan import Plan
from coder.tools.recall import RecallTool
from coder.tools.run import Run
from coder.tools.submit import Submit
from coder.trace.events import Answered, Entry, Event, Opened, Reduced, Resumed, Summarised, Told, ToolFinished
from coder.trace.journal import Journal, JournalStore
from coder.trace.recall import Recall
from coder.trace.state import conversation, spent, state_of
from coder.types import Completion, Limits, Message, Outcome, ToolCall, ToolSpec, Usage
from tests.contract.sandbox_support import committed, local_backend
from tests.values import NoSyntax, scripted_profile

PROFILE = scripted_profile()
LAST_WORDS = 1
"""The request by which a run that could not hand in asks what the model has to say."""


class Died(BaseException):
    """The process is gone: nothing of ours may catch it."""


class World:
    """One work tree and one journal, in which processes may come and go."""

    def __init__(self, folder: Path, provider: SandboxProvider, image: Image, pack: TreePack) -> None:
        self.store = JournalStore(folder / "journal.sqlite")
        self._provider, self._image, self._pack = provider, image, pack
        self.requests = 0

    def toolbox(self, sandbox: Sandbox, journal: Journal) -> Toolbox:
        recall = RecallTool(Recall(journal))
        return Toolbox(
            [EditTool(sandbox, NoSyntax()), Plan(), Read(sandbox), recall, Run(sandbox), Submit(sandbox, journal)]
        )

    def journal(self, *listeners: Callable[[Entry], None]) -> Journal:
        journal = self.store.open("run", listeners=listeners)
        opened = Opened(
            messages=(Message(role="system", content="work"), Message(role="user", content="fix it")),
            tools=self.toolbox_specs(),
        )
        if not journal.entries:
            journal.append(opened)
        return journal

    def toolbox_specs(self) -> tuple[ToolSpec, ...]:
        with self._provider.open(self._image, self._pack, labels={}) as sandbox:
            return self.toolbox(sandbox, self.store.open("other")).specs

    def solve(
        self,
        turns: Sequence[Turn],
        *,
        limits: Limits | None = None,
        profile: ModelProfile = PROFILE,
        listeners: Sequence[Callable[[Entry], None]] = (),
    ) -> Outcome:
        journal = self.journal(*listeners)
        model = ScriptedModel(profile, turns)
        with self._provider.open(self._image, self._pack, labels={}) as sandbox:
            if (checkpoint := state_of(journal.events).checkpoint) is not None:
                sandbox.restore(journal.blob(checkpoint.diff_blob).decode("utf-8", "surrogateescape"))
            agent = Agent(
                model=model,
                toolbox=self.toolbox(sandbox, journal),
                sandbox=sandbox,
                journal=journal,
                limits=limits or Limits(),
            )
            try:
                outcome = agent.solve()
            finally:
                self.requests += len(model.requests)
            self.diff = sandbox.diff()
        return outcome

    @property
    def events(self) -> tuple[Event, ...]:
        return self.store.open("run").events


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    (tmp_path / "repository").mkdir()
    pack = committed(tmp_path / "repository", {"a.txt": b"one\n"})
    with local_backend() as (provider, image):
        world = World(tmp_path, provider, image, pack)
        yield world
        world.store.close()


def does(*calls: tuple[str, Mapping[str, object]], reasoning: str = "hm") -> Message:
    made = tuple(
        ToolCall(id=f"functions.{name}:{n}", name=name, arguments=json.dumps(arguments))
        for n, (name, arguments) in enumerate(calls)
    )
    return Message(role="assistant", reasoning_content=reasoning, tool_calls=made)


def says(text: str) -> Message:
    return Message(role="assistant", content=text)


def cut(message: Message, finish_reason: str = "length") -> Completion:
    return Completion.model_validate(
        {"message": message, "finish_reason": finish_reason, "usage": Usage(), "cost_usd": 0.0, "model": "m"}
    )


def told(events: Sequence[Event]) -> list[str]:
    return [e.reason for e in events if isinstance(e, Told)]


EDIT = ("edit", {"path": "a.txt", "edits": [{"old": "one", "new": "two"}]})
CREATE = ("edit", {"path": "b.txt", "content": "new\n"})
LOOK = ("submit", {"title": "t", "summary": "s"})
SUBMIT = ("submit", {"title": "t", "summary": "s", "confirm": True})
HANDS_IN = (does(LOOK), does(SUBMIT))


def test_work_is_handed_in_and_written_down(world: World) -> None:
    outcome = world.solve([does(("read", {"path": "a.txt"})), does(EDIT, CREATE), *HANDS_IN])

    assert outcome.kind == "submitted"
    assert outcome.submission is not None
    assert "+two" in world.diff
    assert "+new" in world.diff
    assert [m.role for m in conversation(world.events)] == ["system", "user"] + ["assistant", "tool"] * 1 + [
        "assistant",
        "tool",
        "tool",
        "assistant",
        "tool",
    ] + ["assistant", "tool"]


@pytest.mark.parametrize("point", range(1, 15))
def test_killed_at_any_line_of_the_journal_it_ends_the_same_and_asks_nothing_twice(world: World, point: int) -> None:
    turns: list[Turn] = [
        does(("read", {"path": "a.txt"})),
        does(EDIT, CREATE, ("run", {"command": "echo more >> b.txt"})),
        says("I am done."),
        does(("run", {"command": "cat b.txt"})),
        *HANDS_IN,
    ]

    def die(entry: Entry) -> None:
        if entry.seq == point:
            raise Died

    try:
        world.solve(turns, listeners=[die])
    except Died:
        answered = len([e for e in world.events if isinstance(e, Answered)])
        world.journal().append(Resumed(version="test"))
        outcome = world.solve(turns[answered:])
    else:
        outcome = world.solve([])  # it had ended: nothing is left to do

    calls = [e.call_id for e in world.events if isinstance(e, ToolFinished)]
    shown = next(
        e.output.content for e in world.events if isinstance(e, ToolFinished) and e.output.content.startswith("new")
    )
    assert outcome.kind == "submitted"
    assert world.requests == len(turns)
    assert len(calls) == 7
    assert shown == "new\nmore\n[exit code 0]"
    assert "I am done." not in [m.content for m in conversation(world.events)]
    assert "+two" in world.diff


def test_an_answer_without_a_call_leaves_the_wire_and_is_followed_by_a_word_of_ours(world: World) -> None:
    outcome = world.solve([says("All done!"), *HANDS_IN])

    assert outcome.kind == "submitted"
    assert told(world.events) == ["no_tool_call"]
    assert [m.role for m in conversation(world.events)] == ["system", "user", "user"] + ["assistant", "tool"] * 2


def test_a_model_that_never_calls_a_tool_is_stopped(world: World) -> None:
    outcome = world.solve([says("hm")] * 20)

    assert (outcome.kind, outcome.reason) == ("stuck", "3 answers in a row without a tool call")
    assert world.requests == 3 + LAST_WORDS


def test_ten_answers_of_nonsense_end_the_run_with_a_reason(world: World) -> None:
    nonsense = [does(("nope", {"n": n})) for n in range(30)]

    outcome = world.solve(nonsense)

    assert (outcome.kind, outcome.reason) == ("stuck", "10 tool calls in a row failed")
    assert world.requests == 10 + LAST_WORDS


def test_the_same_call_again_and_again_is_reminded_then_stopped(world: World) -> None:
    outcome = world.solve([does(("read", {"path": "a.txt"}))] * 40)

    assert outcome.kind == "stuck"
    assert told(world.events) == ["stuck"] * 3
    assert world.requests == 12 + LAST_WORDS


def test_going_to_and_fro_is_reminded_then_stopped(world: World) -> None:
    pair = [does(("read", {"path": "a.txt"})), does(("run", {"command": "cat a.txt"}))]

    outcome = world.solve(pair * 20)

    assert (outcome.kind, told(world.events)) == ("stuck", ["stuck"] * 2)
    assert world.requests == 12 + LAST_WORDS


def test_looking_again_after_a_change_is_no_circle(world: World) -> None:
    turns: list[Turn] = []
    for n in range(12):
        turns += [does(("run", {"command": f"echo {n} > a.txt"})), does(("read", {"path": "a.txt"}))]

    outcome = world.solve([*turns, *HANDS_IN])

    assert (outcome.kind, told(world.events)) == ("submitted", [])


@pytest.mark.parametrize("finish", ["length", "cut"])
def test_a_call_that_may_be_cut_off_is_never_run(world: World, finish: str) -> None:
    outcome = world.solve([cut(does(CREATE, EDIT), finish), cut(says("thinking"), finish), *HANDS_IN])

    assert outcome.kind == "submitted"
    assert "+new" in world.diff
    assert "+two" not in world.diff
    assert told(world.events) == ["cut_short"]


def test_steps_are_limited(world: World) -> None:
    turns = [does(("run", {"command": f"echo {n}"})) for n in range(9)]

    outcome = world.solve(turns, limits=Limits(max_steps=4))

    assert (outcome.kind, outcome.reason) == ("limit", "the limit of 4 steps is reached")
    assert world.requests == 4 + LAST_WORDS
    assert told(world.events) == []  # at four steps, 80 % is the end itself


def test_money_is_checked_with_the_worst_case_before_the_call(world: World) -> None:
    def costly(_: Sequence[Message]) -> Completion:
        message = does(("run", {"command": f"echo {world.requests}"}))
        return cut(message, "tool_calls").model_copy(update={"cost_usd": 0.30})

    outcome = world.solve([costly] * 9, limits=Limits(max_cost_usd=0.9, max_steps=50))

    assert outcome.kind == "limit"
    assert "of $0.9, $" in outcome.reason
    assert sum(e.completion.cost_usd for e in world.events if isinstance(e, Answered)) <= 0.9
    assert told(world.events)[:1] != []


def test_near_a_limit_the_model_is_told_once(world: World) -> None:
    turns = [does(("run", {"command": f"echo {n}"})) for n in range(12)]

    world.solve(turns, limits=Limits(max_steps=10))

    assert told(world.events) == ["budget"]


def test_a_conversation_near_the_window_is_shortened_once_and_goes_on(world: World) -> None:
    small = PROFILE.model_copy(update={"window_tokens": 60_000, "max_output_tokens": 4_000})
    turns = [does(("run", {"command": f"seq {n}000 {n + 2}000"})) for n in range(1, 30)]

    outcome = world.solve([*turns, *HANDS_IN], profile=small)

    assert outcome.kind == "submitted"
    assert [e for e in world.events if isinstance(e, Reduced)]
    contents = [m.content or "" for m in conversation(world.events) if m.role == "tool"]
    assert "hidden to save space; recall(step=1)" in contents[0]
    assert "30000" in contents[-3]


def test_a_provider_that_finds_it_too_long_gets_a_shorter_one(world: World) -> None:
    failed = list[int]()

    def too_long(_: Sequence[Message]) -> Message:
        failed.append(1)
        raise ContextOverflowError("too long")

    turns = [does(("run", {"command": f"seq {n}000 {n + 1}000"})) for n in range(1, 9)]

    outcome = world.solve([*turns, too_long, *HANDS_IN])

    assert outcome.kind == "submitted"
    assert failed == [1]
    assert len([e for e in world.events if isinstance(e, Reduced)]) == 1


def long_work(*, summary: Message | Completion) -> list[Turn]:
    """Sixty steps of work whose outputs are worth summarising; asked for a summary, the model gives `summary`."""
    number = iter(range(1, 1000))
    plan = ("plan", {"items": [{"text": "keep going", "status": "doing"}]})

    def turn(messages: Sequence[Message]) -> Message | Completion:
        if (messages[-1].content or "").startswith("The conversation so far is about to be shortened"):
            return summary
        step = next(number)
        if step == 1:
            return does(("run", {"command": "echo the gate opens with 7319-heron"}), plan)
        if step == 60:
            return does(("recall", {"words": "gate opens"}))
        if step > 60:
            return does(SUBMIT)
        return does(("run", {"command": f"seq {step}000 {step}900"}))

    return [turn] * 80


def assert_whole(messages: Sequence[Message]) -> None:
    """Every call is answered once, in order, right after its message; nothing else is a tool message."""
    waiting: list[str] = []
    for message in messages:
        if message.role == "tool":
            assert waiting
            assert message.tool_call_id == waiting.pop(0)
        else:
            assert not waiting
            waiting = [call.id for call in message.tool_calls]
    assert not waiting


def test_long_work_is_summarised_when_that_pays_and_nothing_needed_is_lost(world: World) -> None:
    outcome = world.solve(long_work(summary=says("Goal: go on. Facts: none.")))

    events = world.events
    summaries = [e for e in events if isinstance(e, Summarised)]
    messages = conversation(events)
    assert outcome.kind == "submitted"
    assert 1 <= len(summaries) <= 6
    assert [m.role for m in messages[:3]] == ["system", "user", "user"]
    assert "Goal: go on." in (messages[2].content or "")
    assert "[~] keep going" in (messages[2].content or "")
    assert len([m for m in messages if (m.content or "").startswith("All steps up to")]) == 1
    assert_whole(messages)
    assert not [m for m in messages[:-6] if "7319-heron" in (m.content or "")]
    assert "7319-heron" in (messages[-5].content or "")
    assert spent(world.store.open("run").entries).steps == world.requests


def test_at_every_moment_of_long_work_the_conversation_is_whole(world: World) -> None:
    world.solve(long_work(summary=says("Goal: go on.")))
    events = world.events

    for end in range(2, len(events), 7):
        if not isinstance(events[end], Answered | ToolFinished):
            assert_whole(conversation(events[: end + 1]))


@pytest.mark.parametrize("answer", [does(("read", {"path": "a.txt"})), cut(says("Goal: half a summ"))])
def test_without_a_usable_summary_the_work_goes_on_unshortened_and_it_is_not_asked_at_each_step(
    world: World, answer: Message | Completion
) -> None:
    outcome = world.solve(long_work(summary=answer))

    summaries = [e for e in world.events if isinstance(e, Summarised)]
    assert outcome.kind == "submitted"
    assert 1 <= len(summaries) <= 4
    assert not [e for e in summaries if e.message]
    assert len([m for m in conversation(world.events) if m.role == "assistant"]) == 62


def test_killed_after_a_summary_the_conversation_is_the_same(world: World) -> None:
    turns = long_work(summary=says("Goal: go on."))

    def die(entry: Entry) -> None:
        if isinstance(entry.event, Summarised):
            raise Died

    with pytest.raises(Died):
        world.solve(turns, listeners=[die])
    outcome = world.solve(turns)

    assert outcome.kind == "submitted"
    assert_whole(conversation(world.events))
