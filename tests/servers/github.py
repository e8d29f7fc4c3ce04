"""A GitHub for tests: REST and GraphQL as PyGithub speaks them, and git over smart HTTP, on a loopback port.

By hand: `python -m tests.servers.github --port 8900 --repo FOLDER` serves the files of FOLDER as `octo/FOLDER-NAME`
with the token `test-token` and one issue; with `--deliver URL --secret SECRET` the issue is labelled and the webhook sent.
"""

import argparse
import contextlib
import sys
import tempfile
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

import requests
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from tests.servers.github_call import MAX_BODY
from tests.servers.github_git import commit_files, create_repository
from tests.servers.github_http import Fault, Server
from tests.servers.github_state import ENTERPRISE, Comment, Issue, Json, Pull, Recorded, Repo, State, Token, User
from tests.servers.github_webhooks import (
    comment_payload,
    event_payload,
    labeled_payload,
    review_payloads,
    signed_webhook,
)

__all__ = ["Fault", "GitHubServer", "Recorded", "signed_webhook"]


class GitHubServer:
    """The server and its state; a context manager. `folder` holds the repositories; `enterprise` is a GitHub of one's own.

    `requests` is everything that came in, `complaints` what a strict server would hold against the client,
    `faults` what shall go wrong next.
    """

    def __init__(self, folder: Path, *, port: int = 0, enterprise: bool = False) -> None:
        self.state = State(enterprise=enterprise)
        self._folder = folder
        self._server = Server(self.state, port)
        self.port = int(self._server.server_address[1])
        self.url = f"http://127.0.0.1:{self.port}"
        self.host = f"127.0.0.1:{self.port}"
        self.api_url = self.url + (ENTERPRISE if enterprise else "")
        self.state.url = self.api_url
        self.faults = self._server.faults
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.stopping.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(timeout=10)
        if exc is None:
            assert self.complaints == [], "what the client sent, or this server said, is not what GitHub describes"

    @property
    def requests(self) -> list[Recorded]:
        """Everything that came in so far."""
        with self.state.lock:
            return list(self.state.requests)

    @property
    def complaints(self) -> list[str]:
        """What a strict server would hold against the client."""
        with self.state.lock:
            return list(self.state.complaints)

    def writes(self, path: str = "") -> list[Recorded]:
        """The REST requests that were meant to change something and whose path holds `path`."""
        return [
            made
            for made in self.requests
            if made.method != "GET" and path in made.path and ".git/" not in made.path and made.status < 400
        ]

    def add_repository(
        self,
        full_name: str,
        files: Mapping[str, str | bytes],
        *,
        private: bool = False,
        installation: int | None = None,
    ) -> Repo:
        """A repository with one commit of `files` on `main`; its owner may administer it."""
        owner_login, name = full_name.split("/")
        owner = self.state.user(owner_login)
        bare = self._folder / f"{owner_login}--{name}.git"
        create_repository(bare, files, bare=True)
        repo = Repo(owner, name, next(self.state.ids), bare, private=private, installation=installation)
        repo.permissions[owner_login] = "admin"
        with self.state.lock:
            self.state.repos[full_name] = repo
        return repo

    def rename(self, repo: Repo, name: str) -> None:
        """Give a repository another name; the old one leads to it."""
        with self.state.lock:
            old = repo.full_name
            del self.state.repos[old]
            repo.name = name
            self.state.repos[repo.full_name] = repo
            self.state.moved[old] = repo
            for token in self.state.tokens.values():  # they are for the repository, whatever it is called
                if token.repositories is not None and old in token.repositories:
                    token.repositories = token.repositories - {old} | {repo.full_name}

    def add_user(
        self, login: str, *, repo: Repo | None = None, permission: str | None = None, kind: str = "User"
    ) -> User:
        """A user, with `permission` (admin, maintain, write, triage, read) in `repo` if given."""
        user = self.state.user(login, kind=kind)
        if repo is not None and permission is not None:
            repo.permissions[login] = permission
        return user

    def add_token(self, value: str, login: str, *, permissions: dict[str, str] | None = None) -> str:
        """A token of `login`; without `permissions` a personal one that may do all."""
        self.state.tokens[value] = Token(self.state.user(login), permissions)
        return value

    def add_app(self) -> str:
        """Make the server know our GitHub App; its private key as PEM."""
        key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        public = key.public_key().public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
        )
        self.state.app_public_key = public.decode()
        self.state.user(f"{self.state.app_slug}[bot]", kind="Bot")
        private = key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        return private.decode()

    def add_issue(
        self,
        repo: Repo,
        *,
        title: str,
        body: str | None,
        author: str,
        created_at: str | None = None,
        number: int | None = None,
    ) -> Issue:
        """An open issue; numbers count up and are shared with pull requests."""
        number = number or max([*repo.issues, *repo.pulls, 0]) + 1
        when = created_at or self.state.now
        if body is not None and len(body) > MAX_BODY:
            raise ValueError("GitHub takes no such body")
        issue = Issue(number, next(self.state.ids), self.state.user(author), title, body, when, when)
        with self.state.lock:
            repo.issues[number] = issue
        return issue

    def add_comment(self, issue: Issue, *, author: str, body: str, created_at: str | None = None) -> Comment:
        """A comment on an issue."""
        when = created_at or self.state.now
        comment = Comment(next(self.state.ids), self.state.user(author), body, when, when)
        with self.state.lock:
            issue.comments.append(comment)
            issue.updated_at = max(issue.updated_at, when)
        return comment

    def commit(self, repo: Repo, files: Mapping[str, str | bytes | None], *, branch: str = "main") -> str:
        """A commit by somebody else on `branch`."""
        return commit_files(repo.folder, files, branch=branch)

    def labeled(
        self, repo: Repo, issue: Issue, *, label: str, sender: str, secret: str
    ) -> tuple[dict[str, str], bytes]:
        """Headers and body of `issues.labeled`."""
        with self.state.lock:
            payload = labeled_payload(self.state, repo, issue.number, label=label, sender=sender)
        return signed_webhook("issues", payload, secret)

    def commented(self, repo: Repo, issue: Issue, comment: Comment, *, secret: str) -> tuple[dict[str, str], bytes]:
        """Headers and body of `issue_comment.created`."""
        with self.state.lock:
            payload = comment_payload(self.state, repo, issue.number, comment_id=comment.id)
        return signed_webhook("issue_comment", payload, secret)

    def happened(
        self, repo: Repo, name: str, payload: Json, *, sender: str, secret: str
    ) -> tuple[dict[str, str], bytes]:
        """Headers and body of an event; `payload` is what other events do not have."""
        with self.state.lock:
            return signed_webhook(name, event_payload(self.state, repo, payload, sender=sender), secret)

    def reviewed(
        self,
        repo: Repo,
        pull: Pull,
        *,
        author: str,
        body: str,
        remarks: Sequence[tuple[str, str]] = (),
        verdict: str = "changes_requested",
    ) -> list[tuple[str, Json]]:
        """A review with remarks (path, text) on lines: names and payloads of its events."""
        with self.state.lock:
            return review_payloads(self.state, repo, pull, author=author, body=body, remarks=remarks, verdict=verdict)


def main() -> None:
    """Serve one folder until interrupted."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--port", type=int, default=8900)
    parser.add_argument("--repo", type=Path, required=True, help="a folder of files; its .git is not read")
    parser.add_argument("--issue-file", type=Path, help="first line: title; the rest: body")
    parser.add_argument("--deliver", help="URL to send a signed `issues.labeled` to")
    parser.add_argument("--secret", default="", help="what the delivery is signed with")
    parser.add_argument("--label", default="coder")
    options = parser.parse_args()
    files: dict[str, str | bytes] = {
        path.relative_to(options.repo).as_posix(): path.read_bytes()
        for path in sorted(options.repo.rglob("*"))
        if path.is_file() and ".git" not in path.relative_to(options.repo).parts
    }
    title, _, body = (options.issue_file.read_text() if options.issue_file else "It does not work\n").partition("\n")
    with (
        tempfile.TemporaryDirectory(prefix="github-") as folder,
        GitHubServer(Path(folder), port=options.port) as server,
    ):
        repo = server.add_repository(f"octo/{options.repo.resolve().name}", files)
        server.add_user("coder-bot", repo=repo, permission="write")
        server.add_token("test-token", "coder-bot")
        issue = server.add_issue(repo, title=title, body=body.strip(), author="octo")
        sys.stdout.write(
            f"{server.url}  {repo.full_name}#{issue.number}  token test-token  git {server.url}/{repo.full_name}.git\n"
        )
        if options.deliver:
            headers, data = server.labeled(repo, issue, label=options.label, sender="octo", secret=options.secret)
            response = requests.post(options.deliver, data=data, headers=headers, timeout=30)
            sys.stdout.write(f"delivered: {response.status_code} {response.text[:200]}\n")
        sys.stdout.flush()
        with contextlib.suppress(KeyboardInterrupt):
            threading.Event().wait()


if __name__ == "__main__":
    main()
