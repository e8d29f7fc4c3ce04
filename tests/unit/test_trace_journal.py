import sqlite3
from pathlib import Path

import pytest

from coder.errors import JournalError
from coder.trace.events import (
    Answered,
    Event,
    Opened,
    Reduced,
    Resumed,
    RunStarted,
    Solved,
    Told,
    ToolFinished,
    Verified,
)
from coder.trace.fold import STUB
from coder.trace.journal import JournalStore
from coder.trace.state import Turn, conversation, last_turn, spent, state_of
from coder.types import Checkpoint, Completion, Message, Outcome, RepoRef, Submission, Task, ToolCall, ToolOutput, Usage

TASK = Task(
    run_id="r1",
    repo=RepoRef(owner="o", name="n"),
    kind="prompt",
    prompt="fix it",
    requested_by="ann",
    requested_at="2026-01-01T00:00:00Z",
    model="m",
)


def answer(step: int, *call_ids: str, content: str | None = None) -> Answered:
    calls = tuple(ToolCall(id=c, name="read", arguments="{}") for c in call_ids)
    message = Message(role="assistant", content=content, reasoning_content="hm", tool_calls=calls)
    usage = Usage(prompt_tokens=100, cached_tokens=40, completion_tokens=10)
    completion = Completion(message=message, finish_reason="tool_calls", usage=usage, cost_usd=0.5, model="m")
    return Answered(step=step, completion=completion)


def result(step: int, call_id: str) -> ToolFinished:
    return ToolFinished(step=step, call_id=call_id, name="read", output=ToolOutput(content="ok"), duration_s=0.1)


def told(*, replaces: bool, reason: str = "no_tool_call") -> Told:
    message = Message(role="user", content="go on")
    return Told.model_validate({"step": 2, "reason": reason, "message": message, "replaces_answer": replaces})


OPENED = Opened(messages=(Message(role="system", content="s"), Message(role="user", content="u")), tools=())


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "state" / "journal.sqlite"


def test_what_is_appended_is_read_again_by_a_new_process(path: Path) -> None:
    first = JournalStore(path)
    journal = first.open("r1")
    journal.append(RunStarted(task=TASK, version="1"))
    journal.append(OPENED)
    digest = journal.digest
    first.close()

    store = JournalStore(path)
    again = store.open("r1")

    assert again.events == (RunStarted(task=TASK, version="1"), OPENED)
    assert again.digest == digest
    assert [run.run_id for run in store.runs()] == ["r1"]
    store.close()


def test_a_second_writer_of_the_same_run_stops(path: Path) -> None:
    store = JournalStore(path)
    one, two = store.open("r1"), store.open("r1")
    one.append(OPENED)

    with pytest.raises(JournalError, match="another process"):
        two.append(OPENED)
    store.close()


@pytest.mark.parametrize(
    "tamper",
    [
        "UPDATE journal SET event = replace(event, 'fix it', 'break it') WHERE seq = 1",
        "UPDATE journal SET ts = '2020-01-01T00:00:00Z' WHERE seq = 1",
        "DELETE FROM journal WHERE seq = 1",
        "UPDATE journal SET prev = hash WHERE seq = 1",
    ],
)
def test_a_changed_line_is_named(path: Path, tamper: str) -> None:
    store = JournalStore(path)
    journal = store.open("r1")
    for _ in range(3):
        journal.append(RunStarted(task=TASK, version="1"))
    with sqlite3.connect(path) as db:
        db.execute(tamper)
    db.close()

    with pytest.raises(JournalError, match="line 1"):
        store.open("r1")
    store.close()


def test_secrets_are_cut_before_they_are_stored_and_hashed(path: Path) -> None:
    store = JournalStore(path)
    journal = store.open("r1", redact=lambda text: text.replace("hunter2", "[redacted]"))

    stored = journal.append(
        told(replaces=False).model_copy(update={"message": Message(role="user", content="hunter2")})
    )

    assert isinstance(stored, Told)
    assert stored.message.content == "[redacted]"
    assert store.open("r1").events == (stored,)
    assert "hunter2" not in "".join(store.lines("r1"))
    store.close()


def test_a_blob_is_stored_once_and_checked_when_read(path: Path) -> None:
    store = JournalStore(path)
    journal = store.open("r1")
    digest = journal.put_blob(b"data")
    assert journal.put_blob(b"data") == digest
    assert journal.blob(digest) == b"data"

    with sqlite3.connect(path) as db:
        db.execute("UPDATE blob SET data = x'00'")
    db.close()

    with pytest.raises(JournalError, match="damaged"):
        journal.blob(digest)
    with pytest.raises(JournalError, match="missing"):
        journal.blob("0" * 64)
    store.close()


def test_listeners_hear_each_line(path: Path) -> None:
    heard: list[int] = []
    store = JournalStore(path)
    journal = store.open("r1", listeners=[lambda entry: heard.append(entry.seq)])

    journal.append(OPENED)
    journal.append(OPENED)

    assert heard == [0, 1]
    store.close()


def test_the_conversation_is_rebuilt_without_an_answer_that_was_replaced() -> None:
    events: list[Event] = [
        OPENED,
        answer(1, "a", "b"),
        result(1, "a"),
        result(1, "b"),
        answer(2, content="done!"),
        told(replaces=True),
    ]

    messages = conversation(events)

    assert [m.role for m in messages] == ["system", "user", "assistant", "tool", "tool", "user"]
    assert [m.tool_call_id for m in messages if m.role == "tool"] == ["a", "b"]


def test_calls_without_a_result_are_open_after_a_crash() -> None:
    turn = last_turn([OPENED, answer(1, "a", "b"), result(1, "a")])

    assert (turn.step, [call.id for call in turn.open_calls]) == (1, ["b"])


def test_a_submission_survives_a_crash_before_the_end_is_written() -> None:
    handed_in = ToolOutput(content="ok", submission=Submission(title="t", summary="s"))
    turn = last_turn([OPENED, answer(1, "a"), result(1, "a").model_copy(update={"output": handed_in})])

    assert turn.open_calls == ()
    assert turn.submission == handed_in.submission


def test_after_a_word_of_ours_nothing_is_left_to_do() -> None:
    assert last_turn([OPENED, answer(4, content="hi"), told(replaces=True)]) == Turn(step=4)


def test_an_objection_reopens_the_agents_part() -> None:
    solved = Solved(outcome=Outcome(kind="submitted"))
    checkpoint = Checkpoint(step=1, tree_sha="t", diff_blob="d")
    changed = result(1, "a").model_copy(update={"checkpoint": checkpoint})

    before = state_of([OPENED, changed, result(1, "b"), solved])
    after = state_of([OPENED, changed, result(1, "b"), solved, told(replaces=False, reason="objection")])

    assert before.solved == solved
    assert after.solved is None
    assert after.checkpoint == checkpoint


def test_time_between_a_crash_and_the_resume_is_not_counted(path: Path) -> None:
    store = JournalStore(path)
    journal = store.open("r1")
    journal.append(answer(1, "a"))
    journal.append(Resumed(version="1"))
    journal.append(answer(2, "a"))
    stamps = ["2026-01-01T00:00:00Z", "2026-01-01T05:00:00Z", "2026-01-01T05:00:07Z"]
    entries = [e.model_copy(update={"ts": ts}) for e, ts in zip(journal.entries, stamps, strict=True)]

    used = spent(entries)

    assert used.elapsed_s == 7
    assert (used.steps, used.cost_usd, used.prompt_tokens, used.cached_tokens) == (2, 1.0, 200, 80)
    store.close()


def test_a_reduction_hides_outputs_of_earlier_steps_only() -> None:
    long = ToolOutput(content="x" * 500)
    events: list[Event] = [
        OPENED,
        answer(1, "a"),
        result(1, "a").model_copy(update={"output": long}),
        answer(2, "b"),
        result(2, "b").model_copy(update={"output": long}),
        Reduced(before_step=2),
        answer(3, "c"),
        result(3, "c"),
    ]

    contents = [m.content for m in conversation(events) if m.role == "tool"]

    assert contents == [STUB.format(chars=500, step=1), "x" * 500, "ok"]


def test_the_best_round_is_handed_out_and_the_latest_of_equals() -> None:
    def verified(number: int, kind: str) -> Verified:
        evidence = {"base_sha": "b", "head_tree": f"t{number}", "image": "i", "image_digest": "d"}
        return Verified.model_validate({"round": number, "verdict": {"kind": kind}, "evidence": evidence})

    solved = [Solved(outcome=Outcome(kind="submitted", reason=str(number))) for number in (1, 2, 3)]
    objection = told(replaces=False, reason="objection")
    events: list[Event] = [
        solved[0],
        verified(1, "passing"),
        objection,
        solved[1],
        verified(2, "passing"),
        objection,
        solved[2],
    ]

    state = state_of([*events, verified(3, "regressed")])

    assert (state.best.outcome.reason, state.best.verified.round) == ("2", 2)
    with pytest.raises(JournalError, match="no verdict"):
        _ = state_of(events[:1]).best


def test_runs_of_the_same_issue_before_are_told_by_their_first_and_newest_event(path: Path) -> None:
    store = JournalStore(path)
    started = {run: RunStarted(task=TASK.model_copy(update={"run_id": run}), version="1") for run in ISSUES}
    ended = Resumed(version="2")
    for run in ISSUES:
        journal = store.open(run)
        journal.append(started[run])
        if run == "gh1-7-b":
            journal.append(answer(1))
            journal.append(ended)
    store._db.execute("UPDATE journal SET ts = '2026-01-02' WHERE run_id = 'gh1-7-c'")
    store._db.execute("UPDATE journal SET ts = '2026-01-01' WHERE run_id IN ('gh1-7-a', 'gh1-7-b')")

    assert store.before("gh1-7-c") == (started["gh1-7-a"], started["gh1-7-a"], started["gh1-7-b"], ended)
    assert store.before("gh1-7-new")[:4] == store.before("gh1-7-c")
    assert store.before("gh1-8-new") == ()
    assert store.before("plain") == ()
    store._db.execute("UPDATE journal SET event = '{}' WHERE run_id = 'gh1-7-a'")
    assert store.before("gh1-7-c") == (started["gh1-7-b"], ended)


ISSUES = ("gh1-7-a", "gh1-7-b", "gh1-7-c", "gh1-70-a", "gh11-7-a", "gh1-7")
