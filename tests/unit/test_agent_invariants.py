"""What holds of every conversation, however it was shortened: random runs."""

from collections.abc import Sequence

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from coder.agent.best import Best
from coder.agent.context import summary_message
from coder.agent.stuck import Watch
from coder.agent.window import reduction
from coder.model.wire import encode_messages, paired
from coder.trace.events import EVENT, Answered, Event, Opened, Summarised, Told, ToolFinished
from coder.trace.fold import Conversation, chars
from coder.trace.state import conversation, last_turn
from coder.types import Checkpoint, Completion, Message, TestCounts, ToolCall, ToolOutput, Usage
from tests.unit.agent_values import is_whole
from tests.values import scripted_profile

CALM = settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.too_slow])
OPENING = (Message(role="system", content="work"), Message(role="user", content="fix it"))


def completion(message: Message) -> Completion:
    finish = "tool_calls" if message.tool_calls else "stop"
    return Completion.model_validate(
        {"message": message, "finish_reason": finish, "usage": Usage(), "cost_usd": 0.0, "model": "m"}
    )


@st.composite
def _steps(draw: st.DrawFn, step: int) -> list[Event]:
    """One step: an answer with its calls and their results, or with none and a word of ours."""
    names = draw(st.lists(st.sampled_from(["read", "run", "plan", "edit"]), max_size=3))
    made = tuple(ToolCall(id=f"c{step}.{n}", name=name, arguments='{"x": 1}') for n, name in enumerate(names))
    said = Message(
        role="assistant", content=draw(st.sampled_from([None, "hm"])), reasoning_content="r", tool_calls=made
    )
    events: list[Event] = [Answered(step=step, completion=completion(said))]
    if not made:
        told = Message(role="user", content="go on")
        return [*events, Told(step=step, reason="no_tool_call", message=told, replaces_answer=True)]
    for call in made:
        text = f"plan of step {step}" if call.name == "plan" else draw(st.sampled_from(["ok", "x" * 300, "y" * 2_000]))
        tree = draw(st.sampled_from(["", "", "t1", "t2", "t3"]))
        tests = draw(st.sampled_from([None, None, TestCounts(passed=3, failed=1), TestCounts(passed=5)]))
        output = ToolOutput(content=text, is_error=draw(st.booleans()), tests=tests)
        checkpoint = Checkpoint(step=step, tree_sha=tree, diff_blob=tree) if tree else None
        events.append(
            ToolFinished(
                step=step, call_id=call.id, name=call.name, output=output, duration_s=0.0, checkpoint=checkpoint
            )
        )
    return events


@st.composite
def _runs(draw: st.DrawFn) -> list[list[Event]]:
    """A run as groups of events; between two groups the conversation could be sent."""
    groups: list[list[Event]] = [[Opened(messages=OPENING, tools=())]]
    for step in range(1, draw(st.integers(1, 25)) + 1):
        groups.append(draw(_steps(step)))
        so_far = [event for group in groups for event in group]
        match draw(st.sampled_from(["", "", "hide", "summarise", "no summary", "stuck"])):
            case "hide":
                reduced = reduction(so_far, keep_steps=draw(st.integers(1, 6)))
                groups.append([reduced] if reduced else [])
            case "summarise":
                keep = draw(st.integers(1, step))
                wrote = completion(Message(role="assistant", content=f"summary up to {keep}"))
                message = summary_message(so_far, wrote, keep)
                groups.append([Summarised(before_step=keep, completion=wrote, message=message)])
            case "no summary":
                wrote = completion(Message(role="assistant", content=""))
                groups.append([Summarised(before_step=step, completion=wrote, message=None)])
            case "stuck":
                groups.append([Told(step=step + 1, reason="stuck", message=Message(role="user", content="look up"))])
            case _:
                pass
    return groups


def _flat(groups: Sequence[Sequence[Event]]) -> list[Event]:
    return [event for group in groups for event in group]


@CALM
@given(_runs())
def test_whenever_it_is_sent_every_call_is_answered_once_and_in_order(groups: list[list[Event]]) -> None:
    for end in range(1, len(groups) + 1):
        messages = conversation(_flat(groups[:end]))

        assert is_whole(messages)
        assert tuple(messages[:2]) == OPENING
        assert paired(messages) == messages or any(not (m.tool_calls or m.content) for m in messages)


@CALM
@given(_runs())
def test_nothing_is_ever_changed_but_by_a_reduction_or_an_answer_that_said_nothing(groups: list[list[Event]]) -> None:
    profile = scripted_profile(history_reasoning="both_keys")
    before: list[Message] = []
    for end in range(1, len(groups) + 1):
        messages = conversation(_flat(groups[:end]))
        if not any(event.type in {"reduced", "summarised"} for event in groups[end - 1]):
            assert messages[: len(before)] == before
            assert encode_messages(messages, profile)[: len(before)] == encode_messages(before, profile)
        before = messages


@CALM
@given(_runs())
def test_a_summary_keeps_the_last_plan_and_whole_steps(groups: list[list[Event]]) -> None:
    plan = ""
    for end, group in enumerate(groups, 1):
        for event in group:
            if isinstance(event, ToolFinished) and event.name == "plan":
                plan = event.output.content
            if isinstance(event, Summarised) and event.message is not None:
                messages = conversation(_flat(groups[:end]))
                standing = [m.tool_call_id or "" for m in messages if m.role == "tool"]
                assert plan in (event.message.content or "")
                assert len([m for m in messages if (m.content or "").startswith("All steps up to")]) == 1
                assert all(int(name[1:].split(".")[0]) >= event.before_step for name in standing)


@CALM
@given(_runs())
def test_a_process_that_reads_it_anew_sees_the_same(groups: list[list[Event]]) -> None:
    events = _flat(groups)
    stored = [EVENT.validate_json(event.model_dump_json()) for event in events]
    followed = Conversation()
    for event in events:
        followed.take(event)

    assert conversation(stored) == followed.messages
    assert followed.chars == sum(map(chars, followed.messages))
    assert last_turn(stored) == last_turn(events)


@CALM
@given(_runs(), st.lists(st.booleans(), min_size=60, max_size=60))
def test_asking_whether_it_goes_in_circles_changes_nothing(groups: list[list[Event]], asked: list[bool]) -> None:
    often, once, best, again = Watch(), Watch(), Best(), Best()
    for number, group in enumerate(groups):
        for event in group:
            often.take(event)
            once.take(event)
            best.take(event)
            again.take(event)
        if asked[number % len(asked)]:
            often.circle()
            best.worse()
            best.better()

    assert often.circle() == once.circle()
    assert (best.worse(), best.better(), best.safer()) == (again.worse(), again.better(), again.safer())
