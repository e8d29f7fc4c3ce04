import base64
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from coder.errors import WorkspaceError
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
