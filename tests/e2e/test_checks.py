"""Checks of commits, from the signed delivery to what people see at GitHub; the run itself is played."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from coder.types import JsonObject
from tests.e2e.stage import BOT, PROVEN, Stage, check, published
from tests.servers.github_state import Pull
from tests.unit.webhooks_payloads import SHA


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    with Stage(tmp_path) as stage:
        yield stage


@pytest.mark.parametrize("name", ["check_run", "check_suite", "workflow_run"])
def test_failed_checks_of_our_pull_request_are_one_job_of_its_run(stage: Stage, name: str) -> None:
    run = published(stage)

    for _ in range(3):
        stage.event(name, check(stage, name), by="ci[bot]")
    stage.settle()

    assert stage.ran() == ["run", "check_failure"]
    assert stage.given[1].task.run_id == run


def test_a_draft_becomes_ready_when_its_checks_pass(stage: Stage) -> None:
    sha = stage.github.commit(stage.repo, {"a.py": "x = 2\n"}, branch="coder/issue-1-it-breaks")
    stage.repo.suites[sha] = ["github-actions"]
    bot = stage.github.state.user(BOT)
    own = Pull(stage.pull.number, 900, bot, "Mend it", "", "coder/issue-1-it-breaks", "main", draft=True)
    stage.repo.pulls[stage.pull.number] = own
    stage.endings.append(PROVEN | {"awaits": sha})
    published(stage)
    passed = check(stage, "check_suite")
    passed["check_suite"] |= {"conclusion": "success", "head_sha": sha}

    stage.desk.watch()
    stage.event("check_suite", passed, by="ci[bot]")
    stage.settle()
    before = own.draft
    stage.repo.concluded[sha] = "success"
    passed["check_suite"] |= {"id": 2}
    stage.event("check_suite", passed, by="ci[bot]")
    stage.settle()

    assert (before, own.draft) == (True, False)
    assert stage.ran() == ["run"]


def test_autofix_is_turned_off_and_on(stage: Stage) -> None:
    published(stage)

    stage.comment("/coder autofix off", on=stage.pull)
    stage.settle()
    off = stage.event("check_suite", check(stage, "check_suite"), by="ci[bot]")
    stage.comment("@coder autofix on", on=stage.pull)
    stage.settle()
    stage.event("check_suite", check(stage, "check_suite"), by="ci[bot]")
    stage.settle()

    assert off == {"refused": "automatic fixes are off here"}
    assert stage.ran() == ["run", "check_failure"]
    assert len(stage.answers(stage.pull)) == 2


def test_red_checks_of_somebodys_pull_request_are_looked_at_where_a_person_asked(stage: Stage) -> None:
    stage.endings.append({"ok": True, "verdict": "no_change", "outcome": "failed"})
    before = stage.event("check_suite", check(stage, "check_suite"), by="ci[bot]")
    stage.comment("@coder autofix on", on=stage.pull, by="eve")
    stage.settle()
    stage.event("check_suite", check(stage, "check_suite"), by="ci[bot]")
    stage.comment("@coder autofix on", on=stage.pull)
    stage.settle()
    for name in ("check_suite", "check_run", "workflow_run"):
        stage.event(name, check(stage, name), by="ci[bot]")
    stage.settle()

    (work,) = stage.given
    assert "nobody asked for fixes" in str(before)
    assert (work.task.kind, work.task.check_sha, work.task.requested_by) == ("check_failure", SHA, "ann")


@pytest.mark.parametrize("name", ["check_run", "check_suite", "workflow_run"])
def test_red_checks_of_a_fork_are_looked_at_where_a_person_asked_and_nothing_of_a_stranger_costs(
    stage: Stage, name: str
) -> None:
    stage.endings.extend([{"ok": True, "verdict": "no_change", "outcome": "failed"}] * 9)
    fork = forked(stage)
    stage.event(name, red(stage, name, 0), by="eve")
    stage.comment("@coder autofix on", on=stage.pull, by="eve")
    stage.settle()
    before = list(stage.given)
    stage.comment("@coder autofix on", on=stage.pull)
    stage.settle()

    for number in range(8):
        for _ in range(2):
            stage.event(name, red(stage, name, number), by="eve")
            stage.settle()
            stage.intake.enqueue_pending()
            stage.settle()
        if number < 7:
            push(stage, fork, number + 1)

    asked = [(work.task.kind, work.task.base_ref, work.task.requested_by) for work in stage.given]
    assert before == []
    assert asked == [("check_failure", f"pull/{fork.number}/head", "ann")] * 5
    assert len({work.task.check_sha for work in stage.given}) == 5
    assert len([one for one in stage.answers(stage.pull) if "rounds are enough" in one]) == 1


def test_nothing_is_looked_for_by_somebody_who_may_not_write_any_more(stage: Stage) -> None:
    forked(stage)
    stage.comment("@coder autofix on", on=stage.pull)
    stage.settle()
    stage.repo.permissions["ann"] = "read"

    stage.event("check_run", red(stage, "check_run", 0), by="eve")
    stage.settle()
    stage.intake.enqueue_pending()

    assert stage.given == []


def forked(stage: Stage) -> Pull:
    """Somebody's pull request 2, whose branch is in a fork."""
    made = Pull(stage.pull.number, 900, stage.github.state.user("eve"), "Mend it", "", "theirs", "main", draft=False)
    made.fork = True
    stage.repo.pulls[made.number] = made
    push(stage, made, 0)
    return made


def push(stage: Stage, pull: Pull, number: int) -> None:
    stage.github.commit(stage.repo, {"a.py": f"x = {number}\ny = 0\n"}, branch=pull.head)


def red(stage: Stage, name: str, number: int) -> JsonObject:
    """A failed check of what was pushed to the fork: it names no pull request, and another repository or none."""
    facts = {
        "id": 10 + number,
        "name": "tests",
        "head_sha": stage.repo.branch("theirs"),
        "conclusion": "failure",
        "pull_requests": [],
        "head_branch": None if name == "check_suite" else "main",
    }
    if name == "workflow_run":
        facts["head_repository"] = {"id": 77_000}
    return {"action": "completed", name: facts}
