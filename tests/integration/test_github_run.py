"""The whole line at GitHub's test server without a container: a pull request, a review of it, and what becomes of it."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from pydantic import SecretStr

from coder.codemap.map import CodeMap
from coder.forge.config import GitHubSettings
from coder.forge.github import GitHubForge
from coder.forge.github_app import AppTokens
from coder.model.scripted import ScriptedModel, Turn
from coder.policy import Policy
from coder.run import resolve
from coder.sandbox.local import LocalSandboxProvider
from coder.services import Services
from coder.trace.journal import JournalStore
from coder.types import Followup, Message, Note, RepoRef, RunResult, Task
from coder.workspace.workspace import Workspace
from tests.contract.sandbox_support import settings as sandbox_settings
from tests.integration.line_support import FILES, does, submits, writes
from tests.servers.github import Fault, GitHubServer
from tests.servers.github_git import git
from tests.servers.github_state import CheckRun, Repo, ReviewComment
from tests.values import scripted_profile

CONFIG = "reviewers: [maintainer]\nlabels: [by a program, Coder]\n"


@dataclass
class Site:
    """A repository at GitHub and what a run needs to work on it."""

    server: GitHubServer
    repo: Repo
    services: Services

    def run(self, turns: Sequence[Turn], followup: Followup | None = None) -> RunResult:
        model = ScriptedModel(scripted_profile(), turns)
        task = Task(
            run_id="run-1",
            repo=RepoRef(owner="octo", name="shares"),
            kind="issue",
            number=1,
            requested_by="maintainer",
            requested_at="2026-01-02T00:00:00Z",
            model="scripted",
        )
        services = Services(
            **{name: getattr(self.services, name) for name in self.services.__slots__} | {"model": lambda _: model}
        )
        return resolve(task, services, followup)

    def show(self, spec: str) -> str:
        return git("show", spec, cwd=self.repo.folder).decode()


@contextmanager
def built(
    folder: Path,
    *,
    enterprise: bool = False,
    app: bool = False,
    now: Callable[[], datetime] = lambda: datetime.now(UTC),
) -> Iterator[Site]:
    """A site; as an `app` we have tokens that last an hour of the clock `now`."""
    with (
        GitHubServer(folder / "github", enterprise=enterprise) as server,
        CodeMap(folder / "codemap.sqlite") as codemap,
    ):
        repo = server.add_repository("octo/shares", {**FILES, ".coder.yml": CONFIG}, installation=77)
        for login in ("maintainer", "coder-bot"):
            server.add_user(login, repo=repo, permission="write")
        server.add_token("pat-0123456789", "coder-bot")
        issue = server.add_issue(repo, title="Shares", body="One is lost.", author="maintainer")
        issue.labels.append("coder")
        server.state.now = "2026-01-03T00:00:00Z"
        us = {"app_id": server.state.app_id, "private_key": SecretStr(server.add_app())}
        config = GitHubSettings.model_validate(
            {
                "api_url": server.api_url,
                "git_url": server.url,
                "http_hosts": frozenset({server.host}),
                **(us if app else {"token": SecretStr("pat-0123456789")}),
                "seconds_between_requests": 0,
                "seconds_between_writes": 0,
                "retry_backoff_s": 0,
            }
        )
        journals = JournalStore(folder / "journal.sqlite")
        tokens = AppTokens(config, now=now) if app else None
        with GitHubForge(config, tokens=tokens, sleep=lambda _: None) as forge:
            services = Services(
                forge=forge,
                model=lambda _: ScriptedModel(scripted_profile(), []),
                sandboxes=LocalSandboxProvider(sandbox_settings()),
                workspace=Workspace(folder / "mirrors", http_hosts=frozenset({server.host})),
                codemap=codemap,
                journals=journals,
                policy=Policy(test_command="sh check.sh", max_rounds=1),
                redact=str,
                redact_fully=str,
            )
            yield Site(server, repo, services)
        journals.close()


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    with built(tmp_path) as site:
        yield site


def test_a_review_is_answered_by_a_commit_and_a_reply_to_each_comment(site: Site) -> None:
    first = site.run([writes("1 1 2\\n"), *submits("Add what is lost")])
    assert first.pull_request is not None
    pull = site.repo.pulls[first.pull_request.number or 0]
    assert pull.requested == ["maintainer"]
    assert site.repo.issues[pull.number].labels == ["by a program"]
    assert site.repo.issues[1].labels == ["coder:pr-open"]
    maintainer = site.server.state.users["maintainer"]
    comment = ReviewComment(9_001, maintainer, "shares.txt", "three", "2026-01-03T00:00:00Z", review_id=77, line=1)
    pull.review_comments.append(comment)
    # Whatever is lost on the way back: nothing may be said or pushed twice.
    site.server.faults += [Fault("drop_after", path=path) for path in ("/replies", "/statuses", "git-receive-pack")]

    review = Followup(id="review-77", kind="review", note=Note(author="maintainer", body="Almost"))
    second = site.run([writes("1 1 3\\n"), *submits("Three", "Now three.")], review)
    again = site.run([], review)

    assert second.pull_request is not None
    assert again == second
    assert (second.pull_request.number, second.pull_request.branch) == (pull.number, first.pull_request.branch)
    assert site.repo.branch(pull.head) == second.pull_request.commit_sha
    assert site.show(f"{pull.head}:shares.txt") == "1 1 3\n"
    assert "Fixes #1" in pull.body
    (reply,) = [one for one in pull.review_comments if one.in_reply_to]
    assert (reply.in_reply_to, reply.body.partition("\n")[0]) == (
        9_001,
        f"Changed in {second.pull_request.commit_sha}.",
    )
    assert [one.sha for one in site.repo.statuses] == [second.pull_request.commit_sha, first.pull_request.commit_sha]
    trailer = f"Co-authored-by: maintainer <{maintainer.id}+maintainer@users.noreply.127.0.0.1>"
    assert trailer in site.show(pull.head)


def test_a_red_check_that_is_not_our_fault_gets_a_comment_and_no_commit(site: Site) -> None:
    first = site.run([writes("1 1 2\\n"), *submits("Add what is lost")])
    assert first.pull_request is not None
    sha = first.pull_request.commit_sha
    check = CheckRun(9_002, "test", sha, "github-actions", status="completed", conclusion="failure")
    site.repo.checks.append(check)
    site.repo.logs[9_002] = b"##[group]Run grep -q 7 shares.txt\n##[error]Process completed with exit code 1.\n"

    failed = Followup(
        id=f"checks-{sha[:16]}", kind="check_failure", note=Note(author="maintainer", body="`test` failed")
    )
    result = site.run([], failed)

    assert result.spent.steps == first.spent.steps
    assert site.repo.branch(first.pull_request.branch) == sha
    assert "was there before the change" in result.verdict.reasons[0]


def test_a_run_that_takes_hours_never_uses_a_token_that_is_over(tmp_path: Path) -> None:
    clock = [datetime.now(UTC)]

    with built(tmp_path, app=True, now=lambda: clock[0]) as site:

        def slowly(message: Message) -> Turn:
            def answered(_messages: Sequence[Message]) -> Message:
                clock[0] += timedelta(minutes=61)
                site.server.state.tokens.clear()
                site.server.state.token_lifetime_s += 61 * 60  # GitHub's clock is ours
                return message

            return answered

        result = site.run([slowly(one) for one in (writes("1 1 2\\n"), *submits("Add what is lost"))])

        assert result.pull_request is not None
        assert site.repo.pulls[result.pull_request.number or 0].user.login == "coder-app[bot]"
        assert site.repo.branch(result.pull_request.branch) == result.pull_request.commit_sha
        assert [made.path for made in site.server.requests if made.status == 401] == []
        assert len([made for made in site.server.requests if made.path.endswith("/access_tokens")]) == 2


def test_the_whole_line_at_a_github_enterprise_server(tmp_path: Path) -> None:
    clock = [datetime.now(UTC)]

    with built(tmp_path, enterprise=True, app=True, now=lambda: clock[0]) as site:
        # More than a page, so that the next one has to be found by its address.
        for number in range(130):
            site.server.add_comment(site.repo.issues[1], author="maintainer", body=f"remark {number}")
        first = site.run([writes("1 1 2\\n"), *submits("Add what is lost")])
        # It gets another name, and the token ends: the next one has to be asked for by the old name.
        site.server.rename(site.repo, "parts")
        clock[0] += timedelta(hours=1)
        wish = Followup(id="comment-9", kind="revise", note=Note(author="maintainer", body="Three"))
        second = site.run([writes("1 1 3\\n"), *submits("Three", "Now three.")], wish)

        assert first.pull_request is not None
        pull = site.repo.pulls[first.pull_request.number or 0]
        assert second.pull_request is not None
        assert site.show(f"{pull.head}:shares.txt") == "1 1 3\n"
        assert site.repo.checks
        assert len([one for one in site.repo.issues[1].comments if one.user.type == "Bot"]) == 1


@pytest.mark.parametrize("steps", [10, 40])
def test_the_status_comment_is_edited_now_and_then_and_not_with_every_step(site: Site, steps: int) -> None:
    turns = [does("run", command=f"echo {number} > seen.txt") for number in range(steps - 3)]

    site.run([*turns, writes("1 1 2\\n"), *submits()])

    edits = [made for made in site.server.requests if made.method == "PATCH" and "/issues/comments/" in made.path]
    # The stations of a run, and one for 15 steps between them.
    assert 2 <= len(edits) <= 6 + steps // 15
    assert len(site.repo.issues[1].comments) == 1
