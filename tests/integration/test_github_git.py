import base64
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from coder.errors import RemoteRefusedError, WorkspaceError
from coder.types import Remote, RepoRef
from coder.workspace.git import Git
from coder.workspace.policy import PatchRules
from coder.workspace.workspace import Workspace
from tests.servers.github import Fault, GitHubServer
from tests.servers.github_git import git
from tests.servers.github_state import Repo

REF = RepoRef(owner="octo", name="calc")
TOKEN = "ghs_0123456789abcdefghij.secret"


@pytest.fixture
def server(tmp_path: Path) -> Iterator[GitHubServer]:
    with GitHubServer(tmp_path / "github") as running:
        running.add_repository("octo/calc", {"a.py": "1\n"}, private=True)
        running.add_user("bot", repo=running.state.repos["octo/calc"], permission="write")
        running.add_token(TOKEN, "bot")
        yield running


def remote(server: GitHubServer, *, token: str = TOKEN) -> Remote:
    basic = base64.b64encode(f"x-access-token:{token}".encode()).decode()
    return Remote(url=f"{server.url}/octo/calc.git", authorization=f"Basic {basic}")


def repo_of(server: GitHubServer) -> Repo:
    return server.state.repos["octo/calc"]


def main_sha(server: GitHubServer) -> str:
    sha = repo_of(server).branch("main")
    assert sha is not None
    return sha


def workspace(tmp_path: Path, server: GitHubServer) -> Workspace:
    return Workspace(tmp_path / "ws", http_hosts=frozenset({server.host}))


def test_fetch_and_push_with_a_token_that_no_file_and_no_argument_shows(tmp_path: Path, server: GitHubServer) -> None:
    sha = main_sha(server)
    repository = workspace(tmp_path, server).fetch(remote(server), REF, sha)
    big = "".join(f"{number * 7919 % 104729:x}\n" for number in range(400_000))  # more than one HTTP buffer
    server.commit(repo_of(server), {"big.txt": big}, branch="other")
    diff = "diff --git a/big.txt b/big.txt\nnew file mode 100644\n--- /dev/null\n+++ b/big.txt\n@@ -0,0 +1,400000 @@\n"
    patch = repository.apply(sha, diff + "".join(f"+{line}\n" for line in big.splitlines()), PatchRules())
    ours = repository.commit_tree(
        patch.tree_sha, parents=[sha], message="Fix", author_name="c", author_email="c@example.org", timestamp=1
    )

    repository.push(remote(server), ours, "coder/issue-1")

    assert repo_of(server).branch("coder/issue-1") == ours
    secret = base64.b64encode(f"x-access-token:{TOKEN}".encode())
    for file in (tmp_path / "ws").rglob("*"):
        if file.is_file():
            assert secret not in file.read_bytes()
            assert TOKEN.encode() not in file.read_bytes()
    assert TOKEN not in repr(remote(server))


def test_a_bad_token_is_an_error_without_the_token(tmp_path: Path, server: GitHubServer) -> None:
    with pytest.raises(WorkspaceError, match="cannot fetch") as caught:
        workspace(tmp_path, server).fetch(remote(server, token="ghs_wrongwrongwrong"), REF, main_sha(server))

    assert "wrongwrong" not in str(caught.value)


def test_plain_http_needs_leave(tmp_path: Path, server: GitHubServer) -> None:
    with pytest.raises(WorkspaceError, match="https only"):
        Workspace(tmp_path / "ws").fetch(remote(server), REF, main_sha(server))

    assert server.requests == []


def test_a_redirect_is_not_followed(tmp_path: Path, server: GitHubServer) -> None:
    server.faults.append(
        Fault(
            "status",
            method="GET",
            path=r"info/refs",
            status=301,
            times=9,
            headers={"Location": f"{server.url}/octo/other.git/info/refs"},
        )
    )

    with pytest.raises(WorkspaceError, match="cannot fetch"):
        workspace(tmp_path, server).fetch(remote(server), REF, main_sha(server))

    assert not [made for made in server.requests if "other" in made.path]


def test_a_push_whose_answer_is_lost_is_a_push(tmp_path: Path, server: GitHubServer) -> None:
    sha = main_sha(server)
    repository = workspace(tmp_path, server).fetch(remote(server), REF, sha)
    ours = repository.commit_tree(
        repository.tree_sha(sha),
        parents=[sha],
        message="Fix",
        author_name="c",
        author_email="c@example.org",
        timestamp=1,
    )
    server.faults.append(Fault("drop_after", path="git-receive-pack"))
    # Nor can its branches be read at once, before and after.
    server.faults += [
        Fault(kind, method="GET", path="service=git-upload-pack|/info/refs", status=502)
        for kind in ("status", "drop_before")
    ]

    repository.push(remote(server), ours, "coder/issue-1")

    assert repo_of(server).branch("coder/issue-1") == ours


def test_a_token_that_may_only_read_cannot_push(tmp_path: Path, server: GitHubServer) -> None:
    reader = server.add_token("reader-token", "bot", permissions={"contents": "read"})
    sha = main_sha(server)
    repository = workspace(tmp_path, server).fetch(remote(server, token=reader), REF, sha)

    with pytest.raises(WorkspaceError, match="cannot push"):
        repository.push(remote(server, token=reader), sha, "coder/x")


def test_the_server_itself_speaks_to_plain_git(tmp_path: Path, server: GitHubServer) -> None:
    url = server.url.replace("http://", f"http://x-access-token:{TOKEN}@")

    git("clone", "-q", f"{url}/octo/calc.git", "clone", cwd=tmp_path)

    assert (tmp_path / "clone/a.py").read_text() == "1\n"
    failed = subprocess.run(
        ["git", "ls-remote", f"{server.url}/octo/calc.git"],
        capture_output=True,
        check=False,
        env={"GIT_TERMINAL_PROMPT": "0", "PATH": "/usr/bin:/bin"},
    )
    assert failed.returncode != 0


def test_a_remote_that_does_not_answer_is_given_up(tmp_path: Path, server: GitHubServer) -> None:
    server.faults.append(Fault("slow", method="GET", path="info/refs", delay_s=60))
    git_of_ours = Git(http_hosts=frozenset({server.host}))
    target = remote(server)

    with pytest.raises(WorkspaceError, match="did not end within"):
        git_of_ours.talk(["ls-remote", "--end-of-options", target.url], target, timeout_s=0.3)


def test_a_credential_with_a_line_feed_never_reaches_git(tmp_path: Path, server: GitHubServer) -> None:
    target = Remote(url=f"{server.url}/octo/calc.git", authorization="Basic abc\r\nX-Evil: 1")

    with pytest.raises(WorkspaceError, match="control character"):
        workspace(tmp_path, server).fetch(target, REF, main_sha(server))

    assert server.requests == []


REFUSALS = {
    "credentials": Fault("status", method="GET", path=r"info/refs", status=401, times=9),
    "rights": Fault("status", method="GET", path=r"info/refs", status=403, times=9),
    "no such repository": Fault("status", method="GET", path=r"info/refs", status=404, times=9),
    "blocked by law": Fault("status", method="GET", path=r"info/refs", status=451, times=9),
}


@pytest.mark.parametrize("why", REFUSALS)
def test_what_the_remote_refuses_is_asked_once(tmp_path: Path, server: GitHubServer, why: str) -> None:
    server.faults.append(replace(REFUSALS[why]))

    with pytest.raises(WorkspaceError, match="cannot fetch") as caught:
        workspace(tmp_path, server).fetch(remote(server), REF, main_sha(server))

    assert 9 - server.faults[0].times == 1
    # A limit is a 403, too, and what was just made a 404: the job is tried again some seconds later.
    assert caught.value.passes == (server.faults[0].status in {403, 404})


@pytest.mark.parametrize("kind", ["502", "429", "drop_before", "cut"])
def test_what_the_network_fails_at_is_tried_again(tmp_path: Path, server: GitHubServer, kind: str) -> None:
    status = int(kind) if kind.isdigit() else 500
    server.faults.append(
        Fault("status" if kind.isdigit() else kind, method="GET", path="info/refs", status=status, times=2)
    )

    workspace(tmp_path, server).fetch(remote(server), REF, main_sha(server))

    assert server.faults[0].times == 0


@pytest.mark.parametrize("hook", ["pre-receive", "update"])
def test_a_branch_that_a_rule_forbids_is_pushed_once_and_the_rule_is_told(
    tmp_path: Path, server: GitHubServer, hook: str
) -> None:
    sha = main_sha(server)
    repository = workspace(tmp_path, server).fetch(remote(server), REF, sha)
    rule = repo_of(server).folder / "hooks" / hook
    rule.parent.mkdir(exist_ok=True)
    rule.write_text("#!/bin/sh\necho 'GH013: Repository rule violations found' >&2\nexit 1\n")
    rule.chmod(0o755)

    with pytest.raises(RemoteRefusedError, match=r"cannot push branch 'coder/x': ! \[remote rejected\].*declined"):
        repository.push(remote(server), sha, "coder/x")

    assert len([made for made in server.requests if made.path.endswith("/git-receive-pack")]) == 1


def test_a_credential_that_is_over_is_renewed_once(tmp_path: Path, server: GitHubServer) -> None:
    minted: list[str] = []

    def another(token: str) -> str:
        minted.append(token)
        return remote(server, token=token).authorization or ""

    over = remote(server, token="ghs_overoverover")
    workspace(tmp_path, server).fetch(replace(over, renewed=lambda: another(TOKEN)), REF, main_sha(server))
    with pytest.raises(RemoteRefusedError, match="cannot fetch"):
        workspace(tmp_path / "2", server).fetch(
            replace(over, renewed=lambda: another("ghs_wrong")), REF, main_sha(server)
        )

    assert minted == [TOKEN, "ghs_wrong"]


def test_a_strangers_address_gets_no_renewed_credential(tmp_path: Path, server: GitHubServer) -> None:
    bare = replace(remote(server), authorization=None, renewed=lambda: pytest.fail("asked for a credential"))

    with pytest.raises(RemoteRefusedError):
        workspace(tmp_path, server).fetch(bare, REF, main_sha(server))
