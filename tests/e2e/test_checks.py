"""Checks of commits, from the signed delivery to what people see at GitHub; the run itself is played."""

from collections.abc import Iterator
from pathlib import Path

import pytest

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
