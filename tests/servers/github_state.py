"""What the GitHub test server knows, and how GitHub writes it as JSON."""

import itertools
import re
import threading
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.servers.github_git import git
from tests.servers.github_rules import Rules

Json = dict[str, Any]
START = "2026-01-01T00:00:00Z"
ENTERPRISE = "/api/v3"
"""What the paths of REST begin with at a GitHub Enterprise Server."""


@dataclass
class User:
    login: str
    id: int
    type: str = "User"


@dataclass
class Token:
    """Who a token speaks for and what it may do; `permissions` None is a personal token that may do all."""

    user: User
    permissions: dict[str, str] | None = None
    repositories: frozenset[str] | None = None
    expires_at: str = "2099-01-01T00:00:00Z"

    def may(self, area: str, repo: str | None, *, write: bool) -> bool:
        if repo is not None and self.repositories is not None and repo not in self.repositories:
            return False
        return self.permissions is None or self.permissions.get(area) in ({"write"} if write else {"read", "write"})


@dataclass
class Comment:
    id: int
    user: User
    body: str
    created_at: str
    updated_at: str
    reactions: list[tuple[str, str]] = field(default_factory=list)
    """Login and content of each."""


@dataclass
class Issue:
    number: int
    id: int
    user: User
    title: str
    body: str | None
    created_at: str
    updated_at: str
    state: str = "open"
    labels: list[str] = field(default_factory=list)
    comments: list[Comment] = field(default_factory=list)
    reactions: list[tuple[str, str]] = field(default_factory=list)
    last_edited_at: str | None = None
    renamed: list[tuple[str, str]] = field(default_factory=list)
    """Time and previous title."""
    references: list[int] = field(default_factory=list)
    """Pull requests that would close it."""


@dataclass
class ReviewComment:
    id: int
    user: User
    path: str
    body: str
    created_at: str
    review_id: int
    line: int | None = None
    in_reply_to: int | None = None


@dataclass
class Review:
    id: int
    user: User
    body: str
    state: str
    """As payloads have it: in lower case."""
    submitted_at: str


@dataclass
class CheckRun:
    id: int
    name: str
    head_sha: str
    app: str
    status: str = "queued"
    conclusion: str | None = None
    output: Json = field(default_factory=dict)


@dataclass
class Status:
    id: int
    sha: str
    state: str
    description: str | None
    context: str
    creator: User


@dataclass
class Pull:
    number: int
    id: int
    user: User
    title: str
    body: str
    head: str
    base: str
    draft: bool
    state: str = "open"
    reviews: list[Review] = field(default_factory=list)
    review_comments: list[ReviewComment] = field(default_factory=list)
    requested: list[str] = field(default_factory=list)
    fork: bool = False
    """Its head is in another repository."""


@dataclass(frozen=True)
class Hook:
    """A webhook of a repository."""

    url: str
    events: tuple[str, ...]
    last_code: int | None = None
    """What its receiver answered last."""
    active: bool = True


@dataclass(frozen=True)
class Delivery:
    """A webhook that the App sent."""

    id: int
    event: str
    status_code: int


@dataclass
class Repo:
    owner: User
    name: str
    id: int
    folder: Path
    private: bool = False
    default_branch: str = "main"
    permissions: dict[str, str] = field(default_factory=dict)
    """Login to `admin`, `maintain`, `write`, `triage`, `read`."""
    issues: dict[int, Issue] = field(default_factory=dict)
    pulls: dict[int, Pull] = field(default_factory=dict)
    installation: int | None = None
    checks: list[CheckRun] = field(default_factory=list)
    suites: dict[str, list[str]] = field(default_factory=dict)
    """Commit to the Apps that began to check it."""
    concluded: dict[str, str] = field(default_factory=dict)
    """Commit to the conclusion of its suites; without one they are not over."""
    statuses: list[Status] = field(default_factory=list)
    """Newest first."""
    logs: dict[int, bytes] = field(default_factory=dict)
    """Job to its log."""
    labels: list[str] = field(default_factory=list)
    """That were made; GitHub makes others when an issue gets them."""
    hooks: list[Hook] = field(default_factory=list)
    archived: bool = False

    @property
    def full_name(self) -> str:
        return f"{self.owner.login}/{self.name}"

    def branch(self, name: str) -> str | None:
        out = git("rev-parse", "-q", "--verify", f"refs/heads/{name}^{{commit}}", cwd=self.folder, check=False)
        return out.decode().strip() or None

    def comment(self, comment_id: int) -> tuple[Issue, Comment] | None:
        for issue in self.issues.values():
            for comment in issue.comments:
                if comment.id == comment_id:
                    return issue, comment
        return None


@dataclass(frozen=True)
class Recorded:
    """One request as it came in and what was answered (0: the connection was dropped)."""

    method: str
    path: str
    query: Mapping[str, str]
    body: Any
    login: str | None
    status: int


@dataclass
class State:
    """Everything; `lock` guards it."""

    users: dict[str, User] = field(default_factory=dict)
    repos: dict[str, Repo] = field(default_factory=dict)
    tokens: dict[str, Token] = field(default_factory=dict)
    requests: list[Recorded] = field(default_factory=list)
    complaints: list[str] = field(default_factory=list)
    """What a strict server would hold against the client: unknown routes, missing headers."""
    unchanged: list[str] = field(default_factory=list)
    """Paths that were answered with 304."""
    over_limit: bool = False
    """The hour's requests are used up: what is read is refused, unless it has not changed."""
    app_id: int = 4242
    app_slug: str = "coder-app"
    app_public_key: str | None = None
    token_lifetime_s: int = 3600
    granted: frozenset[str] | None = None
    """Permissions that the installation has; None is all."""
    app_hook: str = ""
    """Where the App's webhooks go."""
    app_events: tuple[str, ...] = ()
    """What the App listens to."""
    deliveries: list[Delivery] = field(default_factory=list)
    """Newest first."""
    url: str = ""
    enterprise: bool = False
    rules: Rules = field(default_factory=Rules)
    lock: threading.RLock = field(default_factory=threading.RLock)
    ids: Iterator[int] = field(default_factory=lambda: itertools.count(1001))
    moved: dict[str, Repo] = field(default_factory=dict)
    """Old full names, which GitHub redirects as long as nobody else takes them."""
    now: str = START
    """The server's clock; tests set it."""

    def user(self, login: str, *, kind: str = "User") -> User:
        if login not in self.users:
            self.users[login] = User(login, next(self.ids), kind)
        return self.users[login]

    def rest(self, path: str) -> str:
        """`path` as github.com has it."""
        if not self.enterprise:
            return path
        if path == "/api/graphql":
            return "/graphql"
        return path.removeprefix(ENTERPRISE) if path.startswith(f"{ENTERPRISE}/") else f"/nothing{path}"

    def canonical(self, path: str) -> str:
        """`path` with `/repositories/ID` by its name."""
        match = re.fullmatch(r"/repositories/(\d+)(/.*)?", path)
        named = [repo for repo in self.repos.values() if match is not None and repo.id == int(match[1])]
        return f"/repos/{named[0].full_name}{(match and match[2]) or ''}" if named else path

    def new_place(self, path: str) -> str | None:
        """Where what was at `path` is now, if it moved."""
        match = re.fullmatch(r"/repos/([^/]+/[^/]+)(/.*)?", path)
        repo = self.moved.get(match[1]) if match is not None else None
        return f"{self.url}/repositories/{repo.id}{(match and match[2]) or ''}" if repo is not None else None

    def shape(self, name: str, known: Json) -> Json:
        """`known` as GitHub writes it: with all the fields that it always has."""
        return self.rules.complete(name, known, self.url)


def user_json(state: State, user: User, *, shape: str = "simple-user") -> Json:
    known = {
        "login": user.login,
        "id": user.id,
        "node_id": f"U_{user.id}",
        "type": user.type,
        "site_admin": False,
        "url": f"{state.url}/users/{user.login}",
        "html_url": f"{state.url}/{user.login}",
    }
    return state.shape(shape, known)


def repo_json(state: State, repo: Repo, *, shape: str = "repository") -> Json:
    known = {
        "id": repo.id,
        "node_id": f"R_{repo.id}",
        "name": repo.name,
        "full_name": repo.full_name,
        "private": repo.private,
        "owner": user_json(state, repo.owner),
        "html_url": f"{state.url}/{repo.full_name}",
        "url": f"{state.url}/repos/{repo.full_name}",
        "clone_url": f"{state.url}/{repo.full_name}.git",
        "default_branch": repo.default_branch,
        "fork": False,
        "archived": repo.archived,
        "disabled": False,
    }
    return state.shape(shape, known)


def comment_json(state: State, repo: Repo, issue: Issue, comment: Comment) -> Json:
    url = f"{state.url}/repos/{repo.full_name}/issues"
    known = {
        "id": comment.id,
        "node_id": f"IC_{comment.id}",
        "url": f"{url}/comments/{comment.id}",
        "issue_url": f"{url}/{issue.number}",
        "html_url": f"{state.url}/{repo.full_name}/issues/{issue.number}#issuecomment-{comment.id}",
        "user": user_json(state, comment.user),
        "body": comment.body,
        "created_at": comment.created_at,
        "updated_at": comment.updated_at,
        "author_association": "NONE",
    }
    return state.shape("issue-comment", known)


def label_json(state: State, repo: Repo, name: str) -> Json:
    known = {
        "id": zlib.crc32(name.encode()),
        "name": name,
        "color": "ededed",
        "default": False,
        "description": None,
        "url": f"{state.url}/repos/{repo.full_name}/labels/{name}",
    }
    return state.shape("label", known)


def issue_json(state: State, repo: Repo, issue: Issue) -> Json:
    url = f"{state.url}/repos/{repo.full_name}/issues/{issue.number}"
    known = {
        "id": issue.id,
        "node_id": f"I_{issue.id}",
        "number": issue.number,
        "title": issue.title,
        "body": issue.body,
        "state": issue.state,
        "locked": False,
        "user": user_json(state, issue.user),
        "labels": [label_json(state, repo, name) for name in issue.labels],
        "assignees": [],
        "comments": len(issue.comments),
        "created_at": issue.created_at,
        "updated_at": issue.updated_at,
        "closed_at": None,
        "author_association": "NONE",
        "url": url,
        "comments_url": f"{url}/comments",
        "labels_url": f"{url}/labels{{/name}}",
        "repository_url": f"{state.url}/repos/{repo.full_name}",
        "html_url": f"{state.url}/{repo.full_name}/issues/{issue.number}",
    }
    if issue.number in repo.pulls:
        pull = {"url": f"{state.url}/repos/{repo.full_name}/pulls/{issue.number}"}
        known["pull_request"] = state.shape("issue.pull_request", pull)
    return state.shape("issue", known)


def pull_json(state: State, repo: Repo, pull: Pull, *, shape: str = "pull-request") -> Json:
    def end(branch: str) -> Json:
        return {
            "label": f"{repo.owner.login}:{branch}",
            "ref": branch,
            "sha": repo.branch(branch) or "0" * 40,
            "user": user_json(state, repo.owner),
            "repo": repo_json(state, repo),
        }

    known = {
        "id": pull.id,
        "node_id": f"PR_{pull.id}",
        "number": pull.number,
        "title": pull.title,
        "body": pull.body,
        "state": pull.state,
        "draft": pull.draft,
        **({"merged": False} if shape == "pull-request" else {}),
        "locked": False,
        "user": user_json(state, pull.user),
        "head": end(pull.head) | ({"repo": repo_json(state, repo) | {"id": repo.id + 500_000}} if pull.fork else {}),
        "base": end(pull.base),
        "created_at": START,
        "updated_at": START,
        "url": f"{state.url}/repos/{repo.full_name}/pulls/{pull.number}",
        "issue_url": f"{state.url}/repos/{repo.full_name}/issues/{pull.number}",
        "html_url": f"{state.url}/{repo.full_name}/pull/{pull.number}",
    }
    return state.shape(shape, known)
