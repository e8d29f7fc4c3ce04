"""Several attempts at one problem: each from the base commit, the best one wins, and nothing is asked twice."""

import contextlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from coder.app import Application
from coder.replay import replay
from coder.settings import Settings
from coder.trace.events import Answered, Attempted, Chosen, Verified
from coder.trace.state import conversation, state_of
from coder.types import Limits, Message
from tests.integration.line_support import Killed, Line, does, lined_up, said, submits, writes

BAD = [writes("9 9 9\\n"), *submits("Bad", "It fails.")]
GOOD = [writes("1 1 2\\n"), *submits("Good", "It passes.")]
WORSE = [writes("0 0 9\\n"), *submits("Worse", "It fails, too.")]


@pytest.fixture
def line(tmp_path: Path) -> Iterator[Line]:
    with lined_up(tmp_path) as line:
        line.more = {"attempts": 3}
        yield line


def attempts(line: Line) -> list[int]:
    return [event.number for event in line.events if isinstance(event, Attempted)]


def verdicts(line: Line) -> list[str]:
    return [event.verdict.kind for event in line.events if isinstance(event, Verified)]


def test_each_begins_from_the_base_commit_and_a_fresh_conversation(line: Line) -> None:
    seen: list[list[str]] = []

    def look(messages: object) -> Message:
        seen.append([m.role for m in messages])  # type: ignore[attr-defined]  # a turn is given messages
        return does("run", command="cat shares.txt")

    line.run([look, *BAD, look, *BAD, look, *GOOD])

    shown = [e.output.content for e in line.events if e.type == "tool_finished" and "exit code" in e.output.content]
    assert attempts(line) == [2, 3]
    assert seen == [["system", "user"]] * 3
    assert [text.splitlines()[0] for text in shown if text.startswith("1 1 1")] == ["1 1 1"] * 3


def test_the_best_is_handed_out_and_follow_ups_go_on_with_it(line: Line) -> None:
    result = line.run([*BAD, *GOOD, *WORSE])

    chosen = [event for event in line.events if isinstance(event, Chosen)]
    assert verdicts(line) == ["regressed", "passing", "regressed"]
    assert result.verdict.kind == "passing"
    assert result.pull_request is not None
    assert len(line.branches()) == 1
    assert line.git("show", f"{line.branches()[0]}:shares.txt") == "1 1 2"
    assert [event.number for event in chosen] == [2]
    assert "It passes." in next(iter(line.forge.proposals.values())).body

    line.run([writes("1 1 3\\n"), *submits("Three", "Now three.")], said("revise", "three"))

    words = "".join(m.content or "" for m in line.model.requests[0].messages)
    asked = [call.arguments for m in line.model.requests[0].messages for call in m.tool_calls]
    assert "three" in words
    assert any("1 1 2" in text for text in asked)
    assert not any("9 9 9" in text or "0 0 9" in text for text in asked)
    assert attempts(line) == [2, 3]  # what people add is one attempt
    assert line.git("show", f"{line.branches()[0]}:shares.txt") == "1 1 3"


def test_the_budget_is_shared_and_what_one_leaves_over_is_the_next_ones(line: Line) -> None:
    line.limits = Limits(max_steps=12)
    going = [does("run", command=f"echo {n}") for n in range(20)]

    result = line.run(going)

    begun = [n for n, event in enumerate(line.events) if isinstance(event, Attempted)]
    steps = [n for n, event in enumerate(line.events) if isinstance(event, Answered)]
    assert attempts(line) == [2, 3]
    assert [len([n for n in steps if n > at]) for at in (0, *begun)] == [10, 6, 3]  # and each its last words
    assert result.outcome.kind == "limit"
    assert result.spent.steps == 13


def test_a_question_waits_in_its_attempt_and_its_answer_ends_the_beginning_again(line: Line) -> None:
    line.answerable = True

    asked = line.run([*BAD, does("ask", question="One or two?")])
    answered = line.run(GOOD, said("answer", "one"))

    assert asked.outcome.kind == "asked"
    assert answered.verdict.kind == "passing"
    assert attempts(line) == [2]


@pytest.mark.parametrize("after", range(1, 9))
def test_killed_anywhere_around_a_new_attempt_it_ends_the_same_and_asks_nothing_twice(line: Line, after: int) -> None:
    turns = [*BAD, *GOOD, *WORSE]

    def begun() -> int:
        return next((n for n, event in enumerate(line.events) if isinstance(event, Attempted)), -1)

    with contextlib.suppress(Killed):
        line.run(turns, dies_after=10 + 3 * after)
    answered = len([event for event in line.events if isinstance(event, Answered)])

    result = line.run(turns[answered:])

    assert begun() > 0
    assert result.verdict.kind == "passing"
    assert len([event for event in line.events if isinstance(event, Answered)]) == len(turns)
    assert attempts(line) == [2, 3]
    assert len([event for event in line.events if isinstance(event, Chosen)]) == 1
    assert state_of(line.events).attempt == 2
    assert not any("9 9 9" in call.arguments for m in conversation(line.events) for call in m.tool_calls)


def test_a_run_of_several_attempts_replays_to_the_same_tree(line: Line) -> None:
    result = line.run([*BAD, *GOOD, *WORSE])
    policy = line.policy.model_copy(update={"max_rounds": 5})  # the recording had one round in each attempt

    with Application(Settings(state_dir=line.folder, policy=policy)) as app:
        outcome = replay(app, "run-1", progress=lambda _: None, unsafe_local=True, tested=False)

    assert result.verdict.kind == outcome.verdict == "passing"
    assert outcome.same
    assert outcome.answers == 9
