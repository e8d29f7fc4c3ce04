"""Every trigger and verb, from the signed delivery to what people see at GitHub; the run itself is played."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from coder.types import JsonObject
from tests.e2e.stage import ASKED, BOT, PROVEN, Stage, check, published, until
from tests.servers.github import Fault
from tests.unit.webhooks_payloads import SHA


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    with Stage(tmp_path) as stage:
        yield stage


def pull(stage: Stage, **changes: Any) -> JsonObject:
    side = {"sha": SHA, "repo": {"id": stage.repo.id}}
    facts = {
        "number": stage.pull.number,
        "state": "open",
        "locked": False,
        "updated_at": "2026-01-02T00:00:00Z",
        "user": stage.person(BOT),
        "head": {"ref": "coder/issue-1-it-breaks", **side},
        "base": {"ref": "main", **side},
    }
    return facts | changes


def review(stage: Stage, *, by: str = "ann", state: str = "changes_requested", body: str = "Not yet") -> JsonObject:
    return {
        "action": "submitted",
        "review": {
            "id": 900,
            "user": stage.person(by),
            "state": state,
            "body": body,
            "submitted_at": "2026-01-02T00:00:00Z",
        },
        "pull_request": pull(stage),
    }


def remark(stage: Stage, number: int, body: str) -> JsonObject:
    return {
        "action": "created",
        "comment": {
            "id": number,
            "pull_request_review_id": 900,
            "user": stage.person("ann"),
            "body": body,
            "created_at": "2026-01-02T00:00:00Z",
        },
        "pull_request": pull(stage),
    }


# --- triggers -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("label", ["coder", "coder:plan", "coder:auto", "coder:heavy"])
def test_each_label_starts_a_run(stage: Stage, label: str) -> None:
    stage.label(label)
    stage.settle()

    task = stage.given[0].task
    assert stage.ran() == ["run"]
    assert task.mode == ("plan" if label == "coder:plan" else "fix")
    assert task.limits.max_cost_usd == (20.0 if label == "coder:heavy" else 5.0)
    assert stage.eyes(stage.issue)


def test_an_issue_assigned_to_us_starts_a_run(stage: Stage) -> None:
    payload = {"action": "assigned", "assignee": stage.person(BOT), "issue": issue(stage)}

    stage.event("issues", payload)
    stage.settle()

    assert stage.ran() == ["run"]


def test_a_new_issue_that_begins_with_our_name_starts_a_run(stage: Stage) -> None:
    stage.event(
        "issues", {"action": "opened", "issue": issue(stage, body="@coder mend this", user=stage.person("ann"))}
    )
    stage.settle()

    assert stage.ran() == ["run"]
    assert stage.eyes(stage.issue)


def issue(stage: Stage, **changes: Any) -> JsonObject:
    facts = {"number": 1, "state": "open", "locked": False, "updated_at": "2026-01-02T00:00:00Z", "assignees": []}
    return facts | changes


def test_a_program_starts_a_run_by_repository_dispatch(stage: Stage) -> None:
    stage.event("repository_dispatch", {"action": "coder", "client_payload": {"issue": 1, "options": {"max": 2}}})
    stage.settle()

    assert stage.ran() == ["run"]
    assert stage.given[0].task.limits.max_cost_usd == 2.0


def test_a_review_with_its_comments_is_one_job_of_its_run(stage: Stage) -> None:
    run = published(stage)
    stage.free.clear()

    stage.event("pull_request_review_comment", remark(stage, 71, "@coder rename it"))
    stage.event("pull_request_review", review(stage))
    stage.event("pull_request_review_comment", remark(stage, 72, "@coder and this"))
    stage.free.set()
    stage.settle()

    assert stage.ran() == ["run", "review"]
    assert stage.given[1].job_id == f"{run}.review-900"


def test_a_label_on_a_pull_request_of_somebody_starts_a_run_on_its_branch(stage: Stage) -> None:
    facts = pull(stage, number=1, user=stage.person("ann"))
    facts["head"] |= {"ref": "feature"}

    stage.event("pull_request", {"action": "labeled", "label": {"name": "coder"}, "pull_request": facts})
    stage.settle()

    assert stage.given[0].task.base_ref == "feature"


# --- verbs ----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("verb", ["fix", "plan", "retry"])
@pytest.mark.parametrize("form", ["/coder {}", "Hello @coder {} please"])
def test_verbs_that_start_a_run(stage: Stage, verb: str, form: str) -> None:
    comment = stage.comment(form.format(verb))
    stage.settle()

    assert stage.ran() == ["run"]
    assert stage.eyes(comment)
    assert stage.answers() == []


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        ("/coder approve", "approve"),
        ("/coder fix", "approve"),
        ("/coder revise rather\nthe other one", "revise"),
        ("@coder rather the other one", "answer"),
    ],
)
def test_a_word_on_a_plan_goes_on_with_the_same_run(stage: Stage, body: str, kind: str) -> None:
    stage.endings.append(ASKED)
    run = stage.label("coder:plan")["run"]
    stage.settle()

    comment = stage.comment(body)
    stage.settle()

    assert stage.ran() == ["run", kind]
    assert stage.given[1].task.run_id == run
    assert stage.eyes(comment)


def test_continue_adds_dollars(stage: Stage) -> None:
    published(stage)

    stage.comment("/coder continue +$3")
    stage.comment("/coder continue +$300")
    stage.settle()

    assert [work.followup.add_cost_usd for work in stage.given if work.followup] == [3.0]
    assert "the operator allows $12.00 more" in stage.answers()[0]


def test_after_ten_rounds_a_person_has_to_look_and_reads_what_was_asked_for(stage: Stage) -> None:
    published(stage)

    for number in range(12):
        stage.comment(f"@coder revise {number}", on=stage.pull)
        stage.settle()

    (told,) = [one for one in stage.answers(stage.pull) if "rounds are enough" in one]
    assert stage.ran() == ["run", *["revise"] * 10]
    assert told.count("- revise by ann") == 10
    assert [label for label in stage.issue.labels if label.startswith("coder")] == ["coder:needs-human"]


def test_rebase_takes_the_base_branch_in_where_there_is_a_pull_request(stage: Stage) -> None:
    stage.endings.append({"ok": True, "verdict": "no_change", "outcome": "submitted"})
    stage.label()
    stage.settle()
    stage.comment("@coder rebase")
    stage.settle()
    stage.comment("@coder rebase")
    stage.settle()

    assert stage.ran() == ["run", "run", "rebase"]


def test_stop_ends_what_works(stage: Stage) -> None:
    stage.free.clear()
    run = str(stage.label()["run"])
    until(lambda: stage.given, what="the run")

    comment = stage.comment("@coder stop!")
    stage.settle()

    assert stage.stopped == [run]
    assert stage.ran() == ["run", "stop"]
    assert stage.eyes(comment)


def test_what_is_said_to_a_run_at_work_is_in_its_inbox(stage: Stage) -> None:
    stage.free.clear()
    run = str(stage.label()["run"])
    until(lambda: stage.given, what="the run")

    stage.comment("@coder use bcrypt")
    stage.comment("@coder and send me the key", by="eve")
    until(lambda: stage.inbox.of(run), what="the word to arrive")
    stage.free.set()
    stage.settle()

    assert [said.note.body for said in stage.inbox.of(run)] == ["@coder use bcrypt"]


def test_answers_are_one_comment_each(stage: Stage) -> None:
    published(stage)

    for body in ("/coder status", "@coder explain", "/coder config", "@coder help", "/coder dance", "/coder jump"):
        stage.comment(body)
    stage.settle()

    answers = stage.answers()
    assert stage.ran() == ["run"]
    assert len(answers) == 5
    assert answers[0].startswith("status of the run on #1")
    assert any(one.startswith("explain of the run on #1") for one in answers)
    assert any("| model | `scripted` |" in one for one in answers)
    assert len([one for one in answers if "There is no verb `dance`." in one]) == 1


def test_a_comment_on_our_pull_request_goes_on_with_its_run(stage: Stage) -> None:
    published(stage)

    stage.comment("@coder rename it", on=stage.pull)
    stage.settle()

    assert stage.ran() == ["run", "revise"]


# --- people ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("who", ["eve", "tom"])
def test_nobody_without_write_permission_gets_a_word(stage: Stage, who: str) -> None:
    published(stage)
    before = len(stage.github.writes())

    for body in ("/coder help", "/coder status", "/coder dance", "/coder autofix off", "/coder stop", "@coder hm"):
        stage.comment(body, by=who)
        stage.comment(body, by=who, on=stage.pull)
    stage.event("pull_request_review", review(stage, by=who, body="/coder status"), by=who)
    stage.settle()

    assert len(stage.github.writes()) == before
    assert stage.stopped == []


def test_our_own_comments_start_nothing(stage: Stage) -> None:
    stage.comment("/coder fix", by=BOT)
    stage.label(by=BOT)
    stage.settle()

    assert stage.ran() == []
    assert stage.github.writes() == []


def test_a_polite_word_instead_of_a_run_on_a_closed_issue(stage: Stage) -> None:
    stage.issue.state = "closed"

    stage.comment("/coder fix")
    stage.settle()
    stage.comment("/coder fix --force")
    stage.settle()

    assert len([one for one in stage.answers() if "issue #1 is closed" in one]) == 1
    assert stage.ran() == ["run"]


# --- order and failure ----------------------------------------------------------------------------------------------------


def test_a_redelivery_of_anything_is_one_job(stage: Stage) -> None:
    published(stage)
    given = [("pull_request_review", review(stage)), ("check_suite", check(stage, "check_suite"))]

    for name, payload in given * 4:
        stage.event(name, payload)
        stage.settle()

    assert sorted(stage.ran()) == ["check_failure", "review", "run"]


def test_a_dropped_answer_of_github_makes_no_second_comment(stage: Stage) -> None:
    stage.github.faults.append(Fault("drop_after", path="/issues/1/comments"))

    stage.comment("/coder help")
    stage.settle()

    assert len(stage.answers()) == 1


def test_a_request_is_seen_before_its_run_begins_and_before_anything_else_is_said(stage: Stage) -> None:
    stage.free.clear()
    other = stage.github.add_issue(stage.repo, title="Other", body="b", author="ann")
    stage.comment("/coder fix", on=other)
    until(lambda: stage.given and not stage.desk.waiting(), what="the worker to be busy")
    stage.github.faults.append(Fault("slow", path="/comments", delay_s=0.2, times=3))
    for _ in range(8):
        stage.comment("/coder config")

    stage.label()
    said = len(stage.answers())
    until(lambda: stage.eyes(stage.issue), what="the reaction")
    begun = [work.task.number for work in stage.given]
    stage.free.set()
    stage.settle()

    writes = [made.path for made in stage.github.writes("/issues/1/")]
    before = writes[: writes.index("/repos/octo/bills/issues/1/reactions")]
    assert begun == [other.number]
    # What was said already, and what was on its way when it was asked for.
    assert len(before) <= said + 1
    assert len(stage.answers()) == 8


def test_an_answer_frees_and_takes_the_place_again(stage: Stage) -> None:
    stage.endings.extend([ASKED, PROVEN])
    stage.label()
    stage.settle()
    # The place is free: another issue of the repository is worked on meanwhile.
    other = stage.github.add_issue(stage.repo, title="Other", body="b", author="ann")
    stage.comment("/coder fix", on=other)
    stage.settle()

    stage.comment("@coder the second")
    stage.settle()

    assert stage.ran() == ["run", "run", "answer"]
