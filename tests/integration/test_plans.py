"""Runs that wait for a person: a plan first, or a question."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from typing_extensions import override

from coder.errors import ForgeRefusedError
from coder.forge.memory import MemoryChecks
from coder.forge.protocol import FailedJob
from coder.trace.events import Attributed, Continued, Told
from coder.types import Note, ReviewThread
from tests.integration.line_support import Line, does, lined_up, said, submits, writes

_, PLAN = submits("Count the last share", "It is lost in split(); add it back.")
EDIT = does("edit", path="shares.txt", edits=[{"old": "1 1 1", "new": "1 1 2"}])


@pytest.fixture
def line(tmp_path: Path) -> Iterator[Line]:
    with lined_up(tmp_path) as line:
        yield line


def checks(line: Line) -> MemoryChecks:
    return line.forge.checks


def told(line: Line) -> str:
    return next(e.message.content or "" for e in reversed(line.events) if isinstance(e, Told) and e.followup)


def test_a_plan_changes_nothing_and_waits(line: Line) -> None:
    line.mode = "plan"
    result = line.run([EDIT, writes("9 9 9\\n"), PLAN])

    assert (result.outcome.kind, result.verdict.kind) == ("asked", "no_change")
    assert "It is lost in split()" in result.outcome.reason
    assert result.pull_request is None
    assert line.branches() == []
    refused = line.model.requests[1].messages[-1].content or ""
    assert "only a plan is asked for" in refused
    shown = line.forge.statuses["run-1"]
    assert "It is lost in split" in shown
    assert "/coder approve" in shown
    assert line.forge.issues[1].labels == {"coder:needs-info"}
    assert line.run([]) == result


def test_an_approved_plan_is_carried_out_from_base_in_the_same_conversation(line: Line) -> None:
    line.mode = "plan"
    line.run([writes("9 9 9\\n"), PLAN])
    planned = [spec.name for spec in line.model.requests[0].tools]

    result = line.run([does("read", path="shares.txt"), EDIT, *submits()], said("approve", "go"))

    assert result.pull_request is not None
    assert line.git("show", f"{line.branches()[0]}:shares.txt") == "1 1 2"
    assert [spec.name for spec in line.model.requests[0].tools] == planned
    assert "1 1 1" in (line.model.requests[1].messages[-1].content or "")
    assert "approved by ann" in told(line)
    assert line.forge.issues[1].labels == {"coder:pr-open"}


def test_a_plan_that_is_revised_is_still_a_plan(line: Line) -> None:
    line.mode = "plan"
    line.run([PLAN])

    again = line.run([EDIT, *submits("Other", "Use a loop.")], said("revise", "use a loop"))

    assert again.outcome.kind == "asked"
    assert "Use a loop." in again.outcome.reason
    assert "use a loop" in told(line)
    assert line.branches() == []


def test_what_is_asked_after_the_change_was_published_may_edit(line: Line) -> None:
    line.mode = "plan"
    line.run([PLAN])
    line.run([EDIT, *submits()], said("approve"))

    line.run([writes("1 1 7\\n"), *submits()], said("revise", key="comment-2"))

    assert line.git("show", f"{line.branches()[0]}:shares.txt") == "1 1 7"


def test_comments_of_a_review_are_answered_with_the_commit(line: Line) -> None:
    line.run([EDIT, *submits()])
    threads = [
        ReviewThread(comment_id=5, path="shares.txt", line=1, note=Note(author="bob", body="three")),
        ReviewThread(comment_id=6, path="README.md", note=Note(author="bob", body="say who")),
        ReviewThread(comment_id=7, path="shares.txt", note=Note(author="mallory", body="nine")),
    ]

    result = line.run(
        [writes("1 1 3\\n"), *submits("Three", "Now three; README stays.")],
        said("review", "Almost", by="bob", key="review-9", threads=threads),
    )

    assert result.pull_request is not None
    assert set(line.forge.replies) == {5, 6}
    assert line.forge.replies[5].startswith(f"Changed in {result.pull_request.commit_sha}.")
    assert line.forge.replies[6].startswith("This file was not changed.")


def test_after_enough_reviews_a_person_has_to_look(line: Line) -> None:
    line.forge.writers |= {"bob[bot]"}
    line.run([EDIT, *submits()])
    journal = line.journals.open("run-1")
    for number in range(5):
        journal.append(Continued(followup=said("review", by="bob[bot]", key=f"review-{number}")))
    done = line.run(submits())

    again = line.run([], said("review", by="bob[bot]", key="review-9"))

    assert again == done
    assert line.forge.issues[1].labels == {"coder:needs-human"}
    assert "5 reviews by bots were answered" in line.forge.statuses["run-1.review-9"]


def test_the_commit_carries_our_check_and_a_push_that_starts_none_is_told(line: Line) -> None:
    checks(line).started.add(line.git("rev-parse", "main"))

    result = line.run([EDIT, *submits()])

    assert result.pull_request is not None
    report = checks(line).reports[result.pull_request.commit_sha]
    assert report.conclusion == "neutral"
    assert "no test is known to have failed before" in report.title
    assert "no check began" in line.forge.statuses["run-1"]


def test_where_others_are_at_work_nothing_is_begun(line: Line) -> None:
    line.forge.in_the_way = "#7 is open for it already"

    result = line.run([])

    assert result.verdict.kind == "no_change"
    assert "is open for it already" in line.forge.statuses["run-1"]
    assert result.spent.steps == 0
    assert line.branches() == []


# --- red checks ---------------------------------------------------------------------------------------------------------


def red(line: Line, log: str = "##[group]Run sh check.sh\n##[error]Process completed with exit code 1.") -> None:
    checks(line).failed[line.log()[0]] = (FailedJob(name="test", log=log),)


def blamed(line: Line) -> Attributed:
    return next(e for e in reversed(line.events) if isinstance(e, Attributed))


def test_a_check_that_our_change_turned_red_is_mended(line: Line) -> None:
    line.run([writes("9\\n"), does("run", command="printf 'true\\n' > check.sh"), *submits()])
    red(line, "##[group]Run grep -q 1 shares.txt\n##[error]Process completed with exit code 1.")

    line.run([writes("1 1 2\\n"), *submits()], said("check_failure", "`test` ended with failure", key="checks-1"))

    assert blamed(line).kind == "caused"
    assert "Run again by us" in told(line)
    assert line.git("show", f"{line.branches()[0]}:shares.txt") == "1 1 2"


def test_a_check_that_was_red_before_is_told_and_costs_nothing(line: Line) -> None:
    line.run([EDIT, *submits()])
    red(line, "##[group]Run grep -q 7 shares.txt\n##[error]Process completed with exit code 1.")

    result = line.run([], said("check_failure", "`test` ended with failure", key="checks-1"))

    assert blamed(line).kind == "pre_existing"
    assert result.verdict.reasons[0] == "The failure was there before the change."
    assert result.pull_request is not None
    assert len(line.log()) == 1
    assert "was there before" in line.forge.statuses["run-1.checks-1"]


class Locked(dict[str, str]):
    """Comments of an issue that is open, and of a pull request that is locked."""

    @override
    def __setitem__(self, run_id: str, text: str) -> None:
        if "." in run_id:
            raise ForgeRefusedError("cannot say how it stands: GitHub says 403 the conversation is locked")
        super().__setitem__(run_id, text)


def test_what_cannot_be_told_on_a_locked_pull_request_fails_no_run(line: Line) -> None:
    line.run([EDIT, *submits()])
    red(line)
    line.forge.statuses = Locked(line.forge.statuses)

    result = line.run([], said("check_failure", key="checks-1"))

    assert result.verdict.reasons[0] == "The failure cannot be reproduced here."
    assert list(line.forge.statuses) == ["run-1"]


def test_a_check_that_is_green_here_is_told_too(line: Line) -> None:
    line.run([EDIT, *submits()])
    red(line)

    line.run([], said("check_failure", key="checks-1"))

    assert blamed(line).kind == "not_reproduced"
    assert "cannot be reproduced here" in line.forge.statuses["run-1.checks-1"]
