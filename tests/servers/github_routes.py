"""The REST and GraphQL answers of the GitHub test server: one function a route."""

import re
import secrets
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from urllib.parse import unquote

import jwt

from tests.servers.github_call import Answer, Call, Refusal
from tests.servers.github_check_routes import (
    create_check_run,
    create_status,
    get_job_log,
    list_check_runs,
    list_statuses,
    list_suites,
    update_check_run,
)
from tests.servers.github_git import git
from tests.servers.github_graphql import graphql
from tests.servers.github_hook_routes import get_app_hook, list_app_deliveries, list_hooks
from tests.servers.github_list_routes import create_label, list_events, list_issues
from tests.servers.github_review_routes import get_review, list_review_comments, reply_to_comment, request_reviewers
from tests.servers.github_state import (
    Comment,
    Issue,
    Pull,
    Recorded,
    Repo,
    Token,
    comment_json,
    issue_json,
    label_json,
    pull_json,
    repo_json,
    user_json,
)

REACTIONS = {"+1", "-1", "laugh", "confused", "heart", "hooray", "rocket", "eyes"}


def get_user(call: Call) -> Answer:
    token = call.user()
    if token.permissions is not None:
        raise Refusal(403, "Resource not accessible by integration")
    return 200, user_json(call.state, token.user, shape="public-user")


def get_user_by_login(call: Call) -> Answer:
    user = call.state.users.get(call.parts["login"])
    if user is None:
        raise Refusal(404, "Not Found")
    return 200, user_json(call.state, user, shape="public-user")


def _app(call: Call) -> None:
    if call.bearer is None or call.state.app_public_key is None:
        raise Refusal(401, "A JSON web token could not be decoded")
    try:
        claims = jwt.decode(call.bearer, call.state.app_public_key, algorithms=["RS256"], options={"verify_iat": False})
    except jwt.PyJWTError as exc:
        raise Refusal(401, "A JSON web token could not be decoded") from exc
    if str(claims["iss"]) != str(call.state.app_id) or claims["exp"] - claims["iat"] > 600:
        raise Refusal(401, "'Expiration time' claim ('exp') is too far in the future")


def _for_app(route: Callable[[Call], Answer]) -> Callable[[Call], Answer]:
    """`route` for the App itself only."""

    def guarded(call: Call) -> Answer:
        _app(call)
        return route(call)

    return guarded


def get_app(call: Call) -> Answer:
    _app(call)
    known = {"id": call.state.app_id, "slug": call.state.app_slug, "name": "Coder"}
    return 200, call.state.shape("integration", known)


def get_installation(call: Call) -> Answer:
    _app(call)
    repo = call.state.repos.get(f"{call.parts['owner']}/{call.parts['repo']}")
    if repo is None or repo.installation is None:
        raise Refusal(404, "Not Found")
    everything = {"contents", "pull_requests", "issues", "checks", "statuses", "actions", "metadata"}
    granted = everything if call.state.granted is None else call.state.granted
    known = {
        "id": repo.installation,
        "app_id": call.state.app_id,
        "target_type": "User",
        "permissions": {name: "read" if name == "metadata" else "write" for name in sorted(granted)},
        "events": list(call.state.app_events),
        "suspended_at": None,
    }
    return 200, call.state.shape("installation", known)


def create_installation_token(call: Call) -> Answer:
    _app(call)
    ids = set(call.body.get("repository_ids") or [])
    names = call.body.get("repositories") or [repo.name for repo in call.state.repos.values() if repo.id in ids]
    owned = {repo.name: repo for repo in call.state.repos.values() if repo.installation == int(call.parts["id"])}
    if not owned:
        raise Refusal(404, "Not Found")
    if not set(names) <= set(owned):
        raise Refusal(422, "There is at least one repository that does not exist or is not accessible")
    asked = set(call.body.get("permissions") or {})
    if call.state.granted is not None and not asked <= call.state.granted:
        raise Refusal(422, "The permissions requested are not granted to this installation.")
    value = "ghs_" + secrets.token_hex(18)
    expires = datetime.now(UTC) + timedelta(seconds=call.state.token_lifetime_s)
    permissions = dict(call.body.get("permissions") or {}) | {"metadata": "read"}
    call.state.tokens[value] = Token(
        user=call.state.user(f"{call.state.app_slug}[bot]", kind="Bot"),
        permissions=permissions,
        repositories=frozenset(owned[name].full_name for name in names or owned),
    )
    text = expires.strftime("%Y-%m-%dT%H:%M:%SZ")
    return 201, {"token": value, "expires_at": text, "permissions": permissions}


def get_repo(call: Call) -> Answer:
    return 200, repo_json(call.state, call.repo(), shape="full-repository")


def get_permission(call: Call) -> Answer:
    repo = call.repo()
    user = call.state.users.get(call.parts["login"])
    if user is None:
        raise Refusal(404, "Not Found")
    role = repo.permissions.get(user.login, "none" if repo.private else "read")
    permission = {"maintain": "write", "triage": "read"}.get(role, role)
    shown = user_json(call.state, user, shape="collaborator") | {"role_name": role}
    return 200, {"permission": permission, "role_name": role, "user": shown}


def get_issue(call: Call) -> Answer:
    repo, issue = call.issue()
    return 200, issue_json(call.state, repo, issue)


def list_comments(call: Call) -> Answer:
    repo, issue = call.issue()
    return 200, [comment_json(call.state, repo, issue, comment) for comment in issue.comments]


def create_comment(call: Call) -> Answer:
    repo, issue = call.issue(write=True)
    body = call.text("body") or ""
    now = call.state.now
    comment = Comment(next(call.state.ids), call.user().user, body, now, now)
    issue.comments.append(comment)
    issue.updated_at = now
    return 201, comment_json(call.state, repo, issue, comment)


def _comment(call: Call, *, write: bool) -> tuple[Repo, Issue, Comment]:
    repo = call.repo("issues", write=write)
    found = repo.comment(int(call.parts["id"]))
    if found is None:
        raise Refusal(404, "Not Found")
    return repo, found[0], found[1]


def get_comment(call: Call) -> Answer:
    repo, issue, comment = _comment(call, write=False)
    return 200, comment_json(call.state, repo, issue, comment)


def edit_comment(call: Call) -> Answer:
    repo, issue, comment = _comment(call, write=True)
    if comment.user != call.user().user:
        raise Refusal(403, "Must have admin rights to Repository.")
    comment.body = call.text("body") or ""
    comment.updated_at = call.state.now
    return 200, comment_json(call.state, repo, issue, comment)


def _react(call: Call, reactions: list[tuple[str, str]]) -> Answer:
    content = call.text("content") or ""
    if content not in REACTIONS:
        raise Refusal(422, "Validation Failed")
    user = call.user().user
    known = (user.login, content) in reactions
    if not known:
        reactions.append((user.login, content))
    made = {"id": next(call.state.ids), "user": user_json(call.state, user), "content": content}
    return (200 if known else 201), call.state.shape("reaction", made)


def react_to_issue(call: Call) -> Answer:
    return _react(call, call.issue(write=True)[1].reactions)


def react_to_comment(call: Call) -> Answer:
    return _react(call, _comment(call, write=True)[2].reactions)


def list_labels(call: Call) -> Answer:
    repo, issue = call.issue()
    return 200, [label_json(call.state, repo, name) for name in issue.labels]


def add_labels(call: Call) -> Answer:
    repo, issue = call.issue(write=True)
    names = call.body.get("labels")
    if not isinstance(names, list) or not names:
        raise Refusal(422, "Validation Failed")
    issue.labels += [name for name in names if name not in issue.labels]
    return 200, [label_json(call.state, repo, name) for name in issue.labels]


def remove_label(call: Call) -> Answer:
    repo, issue = call.issue(write=True)
    if call.parts["label"] not in issue.labels:
        raise Refusal(404, "Label does not exist")
    issue.labels.remove(call.parts["label"])
    return 200, [label_json(call.state, repo, name) for name in issue.labels]


def get_ref(call: Call) -> Answer:
    repo = call.repo("contents")
    sha = repo.branch(call.parts["branch"])
    if sha is None:
        raise Refusal(404, "Not Found")
    url = f"{call.state.url}/repos/{repo.full_name}/git"
    target = {"type": "commit", "sha": sha, "url": f"{url}/commits/{sha}"}
    ref = f"refs/heads/{call.parts['branch']}"
    return 200, {"ref": ref, "node_id": "REF", "url": f"{url}/{ref}", "object": target}


def get_commit(call: Call) -> Answer:
    repo = call.repo("contents")
    spec = call.parts["sha"]
    sha = git("rev-parse", "-q", "--verify", f"{spec}^{{commit}}", cwd=repo.folder, check=False).decode().strip()
    if not sha:
        raise Refusal(422, f"No commit found for SHA: {spec}")
    known = {"sha": sha, "url": f"{call.state.url}/repos/{repo.full_name}/commits/{sha}"}
    return 200, call.state.shape("commit", known)


def list_pulls(call: Call) -> Answer:
    repo = call.repo("pull_requests")
    wanted = call.query.get("state", "open")
    pulls = [pull for pull in repo.pulls.values() if wanted in {"all", pull.state}]
    if head := call.query.get("head"):
        # GitHub ignores a head without an owner and gives everything back.
        if ":" in head:
            pulls = [pull for pull in pulls if f"{repo.owner.login}:{pull.head}" == head]
        else:
            call.state.complaints.append(f"head without owner: {head}")
    return 200, [
        pull_json(call.state, repo, pull, shape="pull-request-simple")
        for pull in sorted(pulls, key=lambda pull: -pull.number)
    ]


def create_pull(call: Call) -> Answer:
    repo = call.repo("pull_requests", write=True)
    title, head, base = (call.text(name) or "" for name in ("title", "head", "base"))
    body = call.text("body", required=False) or ""
    head = head.removeprefix(f"{repo.owner.login}:")
    for name, value in (("head", head), ("base", base)):
        if repo.branch(value) is None:
            raise Refusal(422, "Validation Failed", [{"resource": "PullRequest", "field": name, "code": "invalid"}])
    if any(pull.head == head and pull.base == base and pull.state == "open" for pull in repo.pulls.values()):
        message = f"A pull request already exists for {repo.owner.login}:{head}."
        raise Refusal(422, "Validation Failed", [{"resource": "PullRequest", "code": "custom", "message": message}])
    if repo.branch(head) == repo.branch(base):
        message = f"No commits between {base} and {head}"
        raise Refusal(422, "Validation Failed", [{"resource": "PullRequest", "code": "custom", "message": message}])
    number = max([*repo.issues, *repo.pulls, 0]) + 1
    draft = call.body.get("draft") is True
    pull = Pull(number, next(call.state.ids), call.user().user, title, body, head, base, draft)
    repo.pulls[number] = pull
    # Every pull request is an issue too: its side that takes comments, labels and reactions.
    repo.issues[number] = Issue(number, next(call.state.ids), pull.user, title, body, call.state.now, call.state.now)
    return 201, pull_json(call.state, repo, pull)


def _pull(call: Call, *, write: bool) -> tuple[Repo, Pull]:
    repo = call.repo("pull_requests", write=write)
    if int(call.parts["number"]) not in repo.pulls:
        raise Refusal(404, "Not Found")
    return repo, repo.pulls[int(call.parts["number"])]


def get_pull(call: Call) -> Answer:
    repo, pull = _pull(call, write=False)
    return 200, pull_json(call.state, repo, pull)


def edit_pull(call: Call) -> Answer:
    repo, pull = _pull(call, write=True)
    pull.title = call.text("title", required=False) or pull.title
    body = call.text("body", required=False)
    pull.body = pull.body if body is None else body
    pull.state = call.text("state", required=False) or pull.state
    return 200, pull_json(call.state, repo, pull)


def rate_limit(call: Call) -> Answer:
    call.user()
    core = {"limit": 5000, "remaining": 4999, "reset": 4102444800, "used": 1}
    return 200, {"resources": {"core": core, "search": core, "graphql": core}, "rate": core}


REPO = r"/repos/(?P<owner>[^/]+)/(?P<repo>[^/]+)"
ROUTES: list[tuple[str, str, Callable[[Call], Answer]]] = [
    ("GET", r"/user", get_user),
    ("GET", r"/users/(?P<login>[^/]+)", get_user_by_login),
    ("GET", r"/app", get_app),
    ("GET", r"/app/hook/config", _for_app(get_app_hook)),
    ("GET", r"/app/hook/deliveries", _for_app(list_app_deliveries)),
    ("GET", REPO + r"/hooks", list_hooks),
    ("GET", REPO + r"/installation", get_installation),
    ("POST", r"/app/installations/(?P<id>\d+)/access_tokens", create_installation_token),
    ("GET", REPO, get_repo),
    ("GET", REPO + r"/collaborators/(?P<login>[^/]+)/permission", get_permission),
    ("GET", REPO + r"/issues", list_issues),
    ("GET", REPO + r"/issues/(?P<number>\d+)/events", list_events),
    ("POST", REPO + r"/labels", create_label),
    ("GET", REPO + r"/issues/(?P<number>\d+)", get_issue),
    ("GET", REPO + r"/issues/(?P<number>\d+)/comments", list_comments),
    ("POST", REPO + r"/issues/(?P<number>\d+)/comments", create_comment),
    ("GET", REPO + r"/issues/comments/(?P<id>\d+)", get_comment),
    ("PATCH", REPO + r"/issues/comments/(?P<id>\d+)", edit_comment),
    ("POST", REPO + r"/issues/(?P<number>\d+)/reactions", react_to_issue),
    ("POST", REPO + r"/issues/comments/(?P<id>\d+)/reactions", react_to_comment),
    ("GET", REPO + r"/issues/(?P<number>\d+)/labels", list_labels),
    ("POST", REPO + r"/issues/(?P<number>\d+)/labels", add_labels),
    ("DELETE", REPO + r"/issues/(?P<number>\d+)/labels/(?P<label>[^/]+)", remove_label),
    ("GET", REPO + r"/git/ref/heads/(?P<branch>.+)", get_ref),
    ("GET", REPO + r"/commits/(?P<sha>[^/]+)", get_commit),
    ("GET", REPO + r"/commits/(?P<sha>[^/]+)/check-runs", list_check_runs),
    ("GET", REPO + r"/commits/(?P<sha>[^/]+)/check-suites", list_suites),
    ("GET", REPO + r"/commits/(?P<sha>[^/]+)/statuses", list_statuses),
    ("POST", REPO + r"/check-runs", create_check_run),
    ("PATCH", REPO + r"/check-runs/(?P<id>\d+)", update_check_run),
    ("POST", REPO + r"/statuses/(?P<sha>[^/]+)", create_status),
    ("GET", REPO + r"/actions/jobs/(?P<id>\d+)/logs", get_job_log),
    ("GET", REPO + r"/pulls/(?P<number>\d+)/comments", list_review_comments),
    ("POST", REPO + r"/pulls/(?P<number>\d+)/comments/(?P<id>\d+)/replies", reply_to_comment),
    ("GET", REPO + r"/pulls/(?P<number>\d+)/reviews/(?P<id>\d+)", get_review),
    ("POST", REPO + r"/pulls/(?P<number>\d+)/requested_reviewers", request_reviewers),
    ("GET", REPO + r"/pulls", list_pulls),
    ("POST", REPO + r"/pulls", create_pull),
    ("GET", REPO + r"/pulls/(?P<number>\d+)", get_pull),
    ("PATCH", REPO + r"/pulls/(?P<number>\d+)", edit_pull),
    ("GET", r"/rate_limit", rate_limit),
    ("POST", r"/graphql", graphql),
]


def answer(call: Call) -> Answer:
    """What GitHub would say; the request is recorded by the caller."""
    for method, pattern, function in ROUTES:
        match = re.fullmatch(pattern, call.path)
        if method == call.method and match is not None:
            call.parts = {name: unquote(value) for name, value in match.groupdict().items()}
            try:
                return function(call)
            except Refusal as refusal:
                return refusal.status, refusal.body
    call.state.complaints.append(f"unknown route: {call.method} {call.path}")
    return 404, {"message": "Not Found"}


def recorded(call: Call, status: int) -> Recorded:
    login = call.token.user.login if call.token is not None else None
    return Recorded(call.method, call.path, call.query, call.body, login, status)
