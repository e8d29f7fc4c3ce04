import logging

import pytest
from pydantic import SecretStr, ValidationError

from coder.errors import ForgeError
from coder.forge.github import GitHubForge
from coder.types import RepoRef
from tests.contract.test_forge import result
from tests.integration.github_support import (
    LATER,
    PROPOSAL,
    issue_of,
    repo_of,
    settings,
    task,
    work,
)
from tests.servers.github import Fault, GitHubServer

# --- what is lost on the way, is not done twice -------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["drop_after", "drop_before", "status"])
def test_a_comment_whose_answer_is_lost_is_one_comment(server: GitHubServer, forge: GitHubForge, kind: str) -> None:
    server.faults.append(Fault(kind, path="/issues/1/comments", status=502))

    forge.status(task(), "working")
    forge.status(task(), "done")

    assert [comment.body.split("\n")[0] for comment in issue_of(server).comments] == ["done"]


@pytest.mark.parametrize("kind", ["drop_after", "drop_before", "status"])
def test_a_pull_request_whose_answer_is_lost_is_one(server: GitHubServer, forge: GitHubForge, kind: str) -> None:
    server.faults.append(Fault(kind, path="/pulls$", status=503))

    pull = forge.publish(task(), PROPOSAL, work(server))

    assert list(repo_of(server).pulls) == [pull.number]


def test_a_pull_request_that_another_process_opened_meanwhile_is_taken(
    server: GitHubServer, forge: GitHubForge
) -> None:
    with GitHubForge(settings(server), sleep=lambda _: None) as other:
        theirs = other.publish(task(), PROPOSAL, work(server))
    # The first look finds nothing, as if it had come a moment earlier; the creation is then refused with 422.
    repo_of(server).pulls[theirs.number or 0].state = "hidden"
    state = repo_of(server).pulls[theirs.number or 0]
    server.faults.append(Fault("status", path="/pulls$", status=422, message="Validation Failed"))

    def appear(_: float) -> None:
        state.state = "open"

    with GitHubForge(settings(server), sleep=appear) as racing:
        pull = racing.publish(task(run_id="run-2"), PROPOSAL.model_copy(update={"branch": "coder/issue-1"}), "f" * 40)

    assert pull.number == theirs.number
    assert len(repo_of(server).pulls) == 1


def test_a_closed_pull_request_of_the_same_commit_stays_closed(server: GitHubServer, forge: GitHubForge) -> None:
    first = forge.publish(task(), PROPOSAL, work(server))
    repo_of(server).pulls[first.number or 0].state = "closed"

    again = forge.publish(task(), PROPOSAL, work(server))

    assert again.number == first.number
    assert repo_of(server).pulls[first.number or 0].state == "closed"


def test_a_fresh_process_finds_its_comment_among_hundreds_and_no_forgery(server: GitHubServer) -> None:
    with GitHubForge(settings(server)) as first:
        for number in range(150):
            server.add_comment(issue_of(server), author="maintainer", body=f"noise {number}")
        first.status(task(), "one")
    marked = issue_of(server).comments[-1]
    server.add_comment(issue_of(server), author="stranger", body=marked.body)
    issue_of(server).comments.insert(0, server.add_comment(issue_of(server), author="stranger", body=marked.body))

    with GitHubForge(settings(server)) as second:
        second.status(task(), "two")

    assert [
        comment.body.split("\n")[0] for comment in issue_of(server).comments if comment.user.login == "coder-bot"
    ] == ["two"]


def test_a_status_comment_that_somebody_deleted_is_written_anew(server: GitHubServer, forge: GitHubForge) -> None:
    forge.status(task(), "one")
    issue_of(server).comments.clear()

    forge.status(task(), "two")

    assert [comment.body.split("\n")[0] for comment in issue_of(server).comments] == ["two"]


# --- limits and failures ------------------------------------------------------------------------------------------------


def test_reads_are_repeated_and_slow_servers_waited_for(server: GitHubServer, forge: GitHubForge) -> None:
    server.faults.append(Fault("status", method="GET", path="/permission", status=502))
    server.faults.append(Fault("drop_before", method="GET", path="/permission"))
    server.faults.append(Fault("slow", method="GET", path="/permission", delay_s=0.05))

    assert forge.may_write(task())


def test_a_secondary_limit_is_waited_out(server: GitHubServer, forge: GitHubForge) -> None:
    limit = "You have exceeded a secondary rate limit. Please wait a few minutes before you try again."
    server.faults.append(Fault("status", path="/comments", status=403, message=limit))
    server.faults.append(
        Fault("status", method="GET", path="/comments", status=403, message=limit, headers={"Retry-After": "0"})
    )

    forge.status(task(), "working")

    assert len(issue_of(server).comments) == 1


@pytest.mark.parametrize(("seconds", "paused"), [("0", [0.0]), ("86400", None)])
def test_a_limited_write_waits_as_long_as_it_is_told_or_gives_up(
    server: GitHubServer, seconds: str, paused: list[float] | None
) -> None:
    limit = "You have exceeded a secondary rate limit."
    server.faults.append(Fault("status", path="/comments", status=403, message=limit, headers={"Retry-After": seconds}))
    pauses: list[float] = []

    with GitHubForge(settings(server), sleep=pauses.append) as forge:
        if paused is None:
            with pytest.raises(ForgeError, match="secondary rate limit"):
                forge.status(task(), "working")
        else:
            forge.status(task(), "working")

    assert pauses == (paused or [])
    assert len(issue_of(server).comments) == (0 if paused is None else 1)


def test_a_day_long_pause_is_refused(server: GitHubServer, forge: GitHubForge) -> None:
    server.faults.append(
        Fault("status", method="GET", path="/permission", status=403, headers={"Retry-After": "86400"}, times=9)
    )

    with pytest.raises(ForgeError, match="asked to wait"):
        forge.may_write(task())


@pytest.mark.parametrize("status", [403, 500, 502])
def test_permission_that_cannot_be_read_is_no_permission(server: GitHubServer, forge: GitHubForge, status: int) -> None:
    server.faults.append(Fault("status", method="GET", path="/permission", status=status, times=99))

    with pytest.raises(ForgeError, match=r"maintainer.*octo/calc|octo/calc"):
        forge.may_write(task())


def test_a_bad_token_is_an_error_that_does_not_show_it(server: GitHubServer, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    config = settings(server, token=SecretStr("ghp_wrong0123456789"))
    with GitHubForge(config) as forge, pytest.raises(ForgeError, match="401") as caught:
        forge.problem(task())

    assert "wrong0123" not in str(caught.value)
    assert "wrong0123" not in caplog.text
    assert "wrong0123" not in repr(settings(server, token=SecretStr("ghp_wrong0123456789")))


def test_labels_that_may_not_be_changed_fail_no_run(server: GitHubServer, forge: GitHubForge) -> None:
    server.faults.append(Fault("status", path="/labels", status=403, message="Resource not accessible", times=9))
    server.faults.append(
        Fault("status", method="DELETE", path="/labels", status=403, message="Resource not accessible", times=9)
    )

    forge.finish(task(), result(None, "regressed"))

    assert issue_of(server).reactions == [("coder-bot", "confused")]


@pytest.mark.parametrize("owner", ["..", "a/b", "a b", "", "%2e%2e", "x?y"])
def test_names_that_would_bend_the_url_are_refused(server: GitHubServer, forge: GitHubForge, owner: str) -> None:
    with pytest.raises(ForgeError, match="not a repository"):
        forge.may_write(task(repo=RepoRef(owner=owner, name="calc")))

    assert not [made for made in server.requests if made.path != "/user"]


# --- the snapshot -------------------------------------------------------------------------------------------------------


def test_a_text_edited_after_the_request_is_withheld(server: GitHubServer, forge: GitHubForge) -> None:
    issue = issue_of(server)
    issue.body, issue.title = "now with orders", "New title"
    issue.last_edited_at = issue.updated_at = LATER
    issue.renamed.append((LATER, "Wrong"))

    problem = forge.problem(task())

    assert (problem.title, problem.body.body) == ("Wrong", "")
    assert any("edited after" in line for line in problem.withheld)
    assert any("title" in line for line in problem.withheld)


def test_an_edit_before_the_request_and_a_later_label_are_fine(server: GitHubServer, forge: GitHubForge) -> None:
    issue = issue_of(server)
    issue.last_edited_at, issue.updated_at = "2026-01-01T12:00:00Z", LATER

    assert forge.problem(task()).body.body == "text"


def test_a_comment_edited_after_the_request_is_withheld(server: GitHubServer, forge: GitHubForge) -> None:
    comment = server.add_comment(
        issue_of(server), author="maintainer", body="orders", created_at="2026-01-01T01:00:00Z"
    )
    comment.updated_at = LATER

    problem = forge.problem(task())

    assert problem.comments == ()
    assert "edited after" in problem.withheld[0]


def test_a_flood_of_commenters_costs_a_bounded_number_of_lookups(server: GitHubServer) -> None:
    for number in range(60):
        server.add_comment(issue_of(server), author=f"person{number}", body="hi", created_at="2026-01-01T01:00:00Z")

    with GitHubForge(settings(server, max_people=5)) as forge:
        problem = forge.problem(task())

    assert problem.comments == ()
    assert len([made for made in server.requests if "/permission" in made.path]) <= 6
    assert len(problem.withheld) == 60


def test_our_own_comments_are_no_part_of_the_problem(server: GitHubServer, forge: GitHubForge) -> None:
    server.add_comment(issue_of(server), author="coder-bot", body="status", created_at="2026-01-01T01:00:00Z")

    problem = forge.problem(task())

    assert problem.comments == ()
    assert problem.withheld == ()


# --- reactions ------------------------------------------------------------------------------------------------------------


def test_the_comment_that_asked_gets_the_reaction_or_the_issue_when_it_is_gone(
    server: GitHubServer, forge: GitHubForge
) -> None:
    comment = server.add_comment(issue_of(server), author="maintainer", body="@coder fix")

    forge.acknowledge(task(comment_id=comment.id))
    assert comment.reactions == [("coder-bot", "eyes")]
    assert issue_of(server).reactions == []

    issue_of(server).comments.clear()
    forge.finish(task(comment_id=comment.id), result(None, "regressed"))
    assert issue_of(server).reactions == [("coder-bot", "confused")]


def test_a_base_that_is_no_branch_and_no_commit_is_an_error(server: GitHubServer, forge: GitHubForge) -> None:
    for ref in ("nowhere", "f" * 40, "../../user", "main~1"):
        with pytest.raises(ForgeError, match="cannot find"):
            forge.base(task(base_ref=ref))

    assert {made.path for made in server.requests} <= {
        "/repos/octo/calc",
        "/repos/octo/calc/git/ref/heads/nowhere",
        f"/repos/octo/calc/commits/{'f' * 40}",
    }


def test_an_edit_whose_time_cannot_be_read_stops_the_run(server: GitHubServer, forge: GitHubForge) -> None:
    issue_of(server).updated_at = LATER
    server.faults.append(Fault("status", path="/graphql", status=502, times=9))

    with pytest.raises(ForgeError, match="octo/calc#1"):
        forge.problem(task())


@pytest.mark.parametrize(
    "changes",
    [
        {"api_url": "http://api.example.org"},
        {"api_url": "https://user:secret@api.example.org"},
        {"git_url": "ftp://example.org"},
        {"app_id": 1},
        {"permissions": {"workflows": "write"}},
    ],
)
def test_settings_that_would_leak_or_overreach_are_refused(server: GitHubServer, changes: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        settings(server, **changes)
