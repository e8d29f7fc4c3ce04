"""What the words after `coder run --resume RUN --say` are to the run."""

import pytest

from coder.errors import InputError
from coder.local_run import said
from coder.trace.events import Event, Finished, RunStarted
from coder.types import Outcome, RepoRef, RunResult, Spent, Task, Verdict


def run(*, mode: str = "fix", ended: str = "submitted") -> list[Event]:
    task = Task.model_validate(
        {
            "run_id": "run-1",
            "repo": RepoRef(owner="local", name="bills"),
            "kind": "prompt",
            "requested_by": "ann",
            "requested_at": "2026-01-02T00:00:00Z",
            "mode": mode,
            "model": "scripted",
        }
    )
    outcome = Outcome.model_validate({"kind": ended, "reason": "which one?"})
    result = RunResult(run_id="run-1", verdict=Verdict(kind="no_change"), outcome=outcome, spent=Spent())
    return [RunStarted(task=task, version="1"), Finished(result=result)]


@pytest.mark.parametrize(
    ("mode", "ended", "text", "kind", "words", "dollars"),
    [
        ("fix", "submitted", "make it three", "revise", "make it three", 0.0),
        ("fix", "submitted", "+$2 make it three", "revise", "make it three", 2.0),
        ("fix", "limit", "+$1.50", "continue", "", 1.5),
        ("fix", "limit", "+2", "continue", "", 2.0),
        ("fix", "stopped", "continue", "continue", "continue", 0.0),
        ("fix", "asked", "the first", "answer", "the first", 0.0),
        ("fix", "asked", "approve", "answer", "approve", 0.0),
        ("plan", "asked", "Approve.", "approve", "Approve.", 0.0),
        ("plan", "asked", "approve nothing, use ints", "revise", "approve nothing, use ints", 0.0),
        ("fix", "submitted", "+$2x is not a sum", "revise", "+$2x is not a sum", 0.0),
    ],
)
def test_words_are_what_the_run_waits_for(
    *, mode: str, ended: str, text: str, kind: str, words: str, dollars: float
) -> None:
    followup = said(run(mode=mode, ended=ended), text, by="ann")

    assert followup is not None
    assert (followup.kind, followup.note.body, followup.add_cost_usd) == (kind, words, dollars)


def test_nothing_said_is_nothing() -> None:
    assert said(run(), "  ", by="ann") is None


def test_there_must_be_a_run_to_say_it_to() -> None:
    with pytest.raises(InputError, match="--resume"):
        said([], "more", by="ann")


def test_the_same_words_twice_are_two_follow_ups() -> None:
    one, two = said(run(), "more", by="ann"), said(run(), "more", by="ann")

    assert one is not None
    assert two is not None
    assert one.id != two.id
