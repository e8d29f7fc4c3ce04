"""What GitHub and the way to it do wrong, write by write: nothing is doubled, nothing is said to another host."""

from collections.abc import Callable
from pathlib import Path

import pytest

from coder.errors import ForgeError
from coder.forge.github import GitHubForge
from tests.contract.test_forge import result
from tests.integration.github_support import PROPOSAL, issue_of, repo_of, running, task, work
from tests.integration.test_github_app import app_settings
from tests.servers.github import Fault, GitHubServer

LIMIT = "You have exceeded a secondary rate limit. Please wait a few minutes before you try again."


def whole_line(server: GitHubServer, forge: GitHubForge) -> None:
    """Every write that a run makes."""
    forge.acknowledge(task())
    forge.status(task(), "working")
    forge.status(task(), "publishing")
    forge.publish(task(), PROPOSAL, work(server))
    pull = forge.publish(task(), PROPOSAL.model_copy(update={"title": "Fix it", "draft": False}), work(server))
    forge.status(task(), "done")
    forge.finish(task(), result(pull))


def ended_well(server: GitHubServer) -> None:
    issue, pulls = issue_of(server), list(repo_of(server).pulls.values())
    assert [comment.body.split("\n")[0] for comment in issue.comments] == ["done"]
    assert sorted(issue.reactions) == [("coder-bot", "eyes"), ("coder-bot", "hooray")]
    assert issue.labels == ["coder:pr-open"]
    assert [(pull.title, pull.draft, pull.state) for pull in pulls] == [("Fix it", False, "open")]


WRITES = {
    "reaction": ("POST", "/issues/1/reactions"),
    "comment": ("POST", "/issues/1/comments"),
    "comment edit": ("PATCH", "/issues/comments/"),
    "label on": ("POST", "/labels$"),
    "label off": ("DELETE", "/labels/"),
    "pull request": ("POST", "/pulls$"),
    "pull request edit": ("PATCH", "/pulls/"),
    "ready for review": ("POST", "/graphql"),
}
FAULTS: dict[str, Callable[[str, str], Fault]] = {
    "answer lost": lambda method, path: Fault("drop_after", method=method, path=path),
    "request lost": lambda method, path: Fault("drop_before", method=method, path=path),
    "502": lambda method, path: Fault("status", method=method, path=path, status=502),
    "done, then 502": lambda method, path: Fault("status_after", method=method, path=path, status=502),
    "the answer ends in its middle": lambda method, path: Fault("cut", method=method, path=path),
    "the answer is no JSON": lambda method, path: Fault("garbled", method=method, path=path),
    "503 twice": lambda method, path: Fault("status", method=method, path=path, status=503, times=2),
    "secondary limit": lambda method, path: Fault(
        "status", method=method, path=path, status=403, message=LIMIT, headers={"Retry-After": "0"}
    ),
    "429": lambda method, path: Fault(
        "status", method=method, path=path, status=429, message=LIMIT, headers={"Retry-After": "0"}
    ),
}


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("write", WRITES)
def test_each_write_happens_once_whatever_is_lost(
    server: GitHubServer, forge: GitHubForge, write: str, fault: str
) -> None:
    issue_of(server).labels.append("coder")
    server.faults.append(FAULTS[fault](*WRITES[write]))

    whole_line(server, forge)

    assert server.faults[0].times == 0
    ended_well(server)


@pytest.mark.parametrize("fault", FAULTS)
def test_a_pull_request_whose_proof_is_gone_becomes_a_draft_again(
    server: GitHubServer, forge: GitHubForge, fault: str
) -> None:
    ready = forge.publish(task(), PROPOSAL.model_copy(update={"draft": False}), work(server))
    server.faults.append(FAULTS[fault]("POST", "/graphql"))

    draft = forge.publish(task(), PROPOSAL, work(server))

    assert (ready.draft, draft.draft, draft.number) == (False, True, ready.number)
    assert repo_of(server).pulls[draft.number or 0].draft


# --- what is gone or not allowed any more -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("status", "message"),
    [
        (410, "This issue was deleted"),
        (451, "Repository access blocked"),
        (404, "Not Found"),
        (403, "Unable to create comment because issue is locked."),
    ],
)
def test_a_comment_that_cannot_be_written_says_why_and_whether_for_good(
    server: GitHubServer, forge: GitHubForge, status: int, message: str
) -> None:
    server.faults.append(Fault("status", path="/issues/1/comments", status=status, message=message, times=9))

    with pytest.raises(ForgeError, match=rf"status comment on octo/calc#1: GitHub says {status} {message}") as caught:
        forge.status(task(), "working")

    assert server.faults[0].times == 8
    assert caught.value.passes == (status == 404)


def test_a_deleted_issue_cannot_be_read_and_says_so(server: GitHubServer, forge: GitHubForge) -> None:
    server.faults.append(
        Fault("status", method="GET", path="/issues/1$", status=410, message="This issue was deleted", times=9)
    )

    with pytest.raises(ForgeError, match="cannot read octo/calc#1: GitHub says 410 This issue was deleted"):
        forge.problem(task())


def test_a_transferred_issue_is_not_followed_into_the_other_repository(
    server: GitHubServer, forge: GitHubForge
) -> None:
    other = server.add_repository("octo/other", {"a.py": "1\n"})
    server.add_issue(other, title="Not ours", body="to do", author="maintainer", number=5)
    place = {"Location": f"{server.url}/repositories/{other.id}/issues/5"}
    server.faults += [
        Fault("status", method="GET", path="/octo/calc/issues/1$", status=301, headers=place, times=9),
        Fault("status", method="POST", path="/octo/calc/issues/1/", status=307, headers=place, times=9),
    ]

    for step in (lambda: forge.problem(task()), lambda: forge.acknowledge(task())):
        with pytest.raises(ForgeError, match="moved to another repository"):
            step()

    assert not [made for made in server.requests if "other" in made.path]


def test_a_personal_token_that_is_revoked_is_an_error(server: GitHubServer, forge: GitHubForge) -> None:
    assert forge.may_write(task())
    server.state.tokens.clear()

    with pytest.raises(ForgeError, match="401"):
        forge.may_write(task())


def test_an_app_whose_token_ends_early_gets_another_one(server: GitHubServer) -> None:
    with GitHubForge(app_settings(server), sleep=lambda _: None) as forge:
        forge.status(task(), "working")
        server.state.tokens.clear()

        forge.status(task(), "done")
        assert forge.may_write(task())

    assert [comment.body.split("\n")[0] for comment in issue_of(server).comments] == ["done"]
    assert len([made for made in server.requests if made.path.endswith("/access_tokens")]) == 2


def test_an_app_that_was_taken_off_the_repository_stops(server: GitHubServer) -> None:
    with GitHubForge(app_settings(server), sleep=lambda _: None) as forge:
        assert forge.may_write(task())
        server.state.tokens.clear()
        repo_of(server).installation = None

        with pytest.raises(ForgeError, match="installation token for octo/calc"):
            forge.may_write(task())


def test_permission_that_is_withdrawn_between_two_questions_is_noticed(
    server: GitHubServer, forge: GitHubForge
) -> None:
    before = forge.may_write(task())
    repo_of(server).permissions["maintainer"] = "triage"

    assert (before, forge.may_write(task())) == (True, False)


# --- new names ------------------------------------------------------------------------------------------------------------


def test_a_repository_that_is_renamed_in_the_middle_is_followed(server: GitHubServer, forge: GitHubForge) -> None:
    repo = repo_of(server)
    issue, sha = repo.issues[1], work(server)
    asked = task(run_id=f"gh{repo.id}-1-0123456789abcdef")
    forge.status(asked, "working")
    server.rename(repo, "sums")

    problem = forge.problem(asked)
    forge.status(asked, "done")
    forge.acknowledge(asked)
    pull = forge.publish(asked, PROPOSAL, sha)
    forge.finish(asked, result(pull))

    assert problem.body.body == "text"
    assert forge.remote(asked).url.endswith("/octo/sums.git")
    assert [comment.body.split("\n")[0] for comment in issue.comments] == ["done"]
    assert list(repo.pulls) == [pull.number]
    assert issue.labels == ["coder:pr-open"]


def test_a_renamed_repository_that_is_written_to_first_is_followed_too(
    server: GitHubServer, forge: GitHubForge
) -> None:
    issue = issue_of(server)
    server.rename(repo_of(server), "sums")

    forge.acknowledge(task())

    assert issue.reactions == [("coder-bot", "eyes")]


def test_a_name_that_leads_to_another_repository_is_not_followed(server: GitHubServer, forge: GitHubForge) -> None:
    server.rename(repo_of(server), "sums")

    with pytest.raises(ForgeError, match="another repository now"):
        forge.status(task(run_id="gh1-1-0123456789abcdef"), "working")

    assert server.state.repos["octo/sums"].issues[1].comments == []


@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_no_redirect_takes_the_token_to_another_host(
    server: GitHubServer, forge: GitHubForge, tmp_path: Path, status: int
) -> None:
    steps: tuple[Callable[..., object], ...] = (forge.may_write, forge.problem, forge.base, forge.acknowledge)
    with running(tmp_path / "elsewhere") as elsewhere:
        for method in ("GET", "POST", "PATCH"):
            away = {"Location": f"{elsewhere.url}/repositories/1"}
            server.faults.append(
                Fault("status", method=method, path="/repos/|/graphql", status=status, headers=away, times=99)
            )
        for step in steps:
            with pytest.raises(ForgeError):
                step(task())

        assert elsewhere.requests == []
