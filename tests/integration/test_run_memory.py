"""What a run is told at its start and what it leaves for the next one; a question that ends a segment."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from coder.memory.store import MemoryStore
from coder.policy import Policy
from coder.toolset import all_trusted
from coder.trace.events import Continued, Opened, ProblemRead
from coder.trace.journal import JournalStore
from coder.types import Base, Followup, Note, Problem
from tests.integration.line_support import Line, does, lined_up, said, submits, writes

REMEMBER = does("remember", fact="The shares are checked by check.sh.", citations=[{"path": "check.sh", "line": 1}])


@pytest.fixture
def line(tmp_path: Path) -> Iterator[Line]:
    with lined_up(tmp_path) as made:
        made.memory = MemoryStore(tmp_path / "memory.sqlite")
        yield made
        made.memory.close()


def opened(line: Line) -> Opened:
    return next(event for event in line.events if isinstance(event, Opened))


def test_the_next_run_is_told_what_this_one_found_out(line: Line, tmp_path: Path) -> None:
    line.run([REMEMBER, writes("1 1 2\\n"), *submits()])
    first, line.journals = opened(line), JournalStore(tmp_path / "second.sqlite")
    line.run(submits())
    second = opened(line)
    line.journals.close()

    assert first.remembered == ()
    assert second.remembered == ("The shares are checked by check.sh. (check.sh)",)
    assert "- The shares are checked by check.sh. (check.sh)" in (second.messages[1].content or "")
    assert first.baseline == second.baseline
    assert first.baseline is not None
    assert first.baseline.problem


def test_a_suite_that_was_too_slow_once_is_tried_again(line: Line, tmp_path: Path) -> None:
    slow_once = f"sh -c 'test -e {tmp_path}/quiet || sleep 30; sh check.sh'"
    line.policy = Policy(test_command=slow_once, max_rounds=1, baseline_s=2)
    line.run(submits())
    first, line.journals = opened(line), JournalStore(tmp_path / "second.sqlite")
    (tmp_path / "quiet").touch()
    line.run(submits())
    second = opened(line)
    line.journals.close()

    assert first.baseline is not None
    assert "takes longer than" in first.baseline.problem
    assert second.baseline is not None
    assert "takes longer than" not in second.baseline.problem


def test_a_question_waits_for_its_answer(line: Line) -> None:
    line.answerable = True

    asked = line.run([does("ask", question="One share or two?")])
    answered = line.run([writes("1 1 2\\n"), *submits()], said("answer", "two"))

    assert (asked.outcome.kind, asked.outcome.reason) == ("asked", "One share or two?")
    assert "ask" in {tool.name for tool in opened(line).tools}
    assert answered.outcome.kind == "submitted"


def test_nobody_is_asked_where_nobody_answers(line: Line) -> None:
    result = line.run([does("ask", question="One share or two?"), *submits()])

    assert result.outcome.kind == "submitted"
    assert "ask" not in {tool.name for tool in opened(line).tools}


@pytest.mark.parametrize(
    ("words", "trusted"),
    [
        ((True, True, True), True),
        ((False, True, True), False),
        ((True, False, True), False),
        ((True, True, False), False),
    ],
)
def test_one_strangers_word_makes_what_is_remembered_wait(
    tmp_path: Path, words: tuple[bool, bool, bool], *, trusted: bool
) -> None:
    body, comment, later = (Note(author="x", body="w", trusted=one) for one in words)
    store = JournalStore(tmp_path / "journal.sqlite")
    journal = store.open("run")
    problem = Problem(kind="issue", title="t", body=body, comments=(comment,))

    journal.append(ProblemRead(problem=problem, base=Base(ref="main", sha="a" * 40), remote_url=""))
    journal.append(Continued(followup=Followup(id="1", kind="revise", note=later)))

    assert all_trusted(journal) is trusted
    store.close()
