"""Deliveries as GitHub sends them, cut down to what matters."""

import copy
import json
from pathlib import Path
from typing import Any

from coder.types import JsonObject
from webhooks.config import ServiceConfig
from webhooks.signature import sign

SECRET = "correct horse battery"
BOT_ID = 990
SHA = "5" * 40


def user(login: str = "mona", ident: int = 7, kind: str = "User") -> JsonObject:
    return {"login": login, "id": ident, "type": kind}


def repository(full_name: str = "octo/tools", ident: int = 42) -> JsonObject:
    owner, _, name = full_name.partition("/")
    return {"id": ident, "name": name, "full_name": full_name, "owner": user(owner, 1, "Organization")}


def issue(number: int = 12, **changes: Any) -> JsonObject:
    facts = {
        "id": 5000 + number,
        "number": number,
        "state": "open",
        "locked": False,
        "title": "It breaks",
        "body": "Badly",
        "updated_at": "2026-01-02T03:04:05Z",
        "comments": 0,
        "labels": [{"name": "coder"}],
        "repository_url": "https://api.github.com/repos/octo/tools",
    }
    return facts | changes


def labeled(
    *, label: str = "coder", sender: JsonObject | None = None, repo: JsonObject | None = None, **changes: Any
) -> JsonObject:
    return {
        "action": "labeled",
        "label": {"id": 3, "name": label},
        "issue": issue(**changes),
        "repository": repo or repository(),
        "sender": sender or user(),
    }


def commented(
    body: str | None = "@coder fix",
    *,
    sender: JsonObject | None = None,
    comment_id: int = 77,
    repo: JsonObject | None = None,
    **changes: Any,
) -> JsonObject:
    author = sender or user()
    facts = issue(**changes)
    return {
        "action": "created",
        "issue": facts,
        "comment": {
            "id": comment_id,
            "body": body,
            "user": author,
            "created_at": "2026-01-02T04:00:00Z",
            "issue_url": f"https://api.github.com/repos/octo/tools/issues/{facts['number']}",
        },
        "repository": repo or repository(),
        "sender": author,
    }


def pull(
    number: int = 30, *, branch: str = "coder/issue-12-it-breaks", fork: bool = False, **changes: Any
) -> JsonObject:
    facts = {
        "id": 6000 + number,
        "number": number,
        "state": "open",
        "locked": False,
        "draft": False,
        "title": "Mend it",
        "body": "Fixes #12",
        "updated_at": "2026-01-02T05:00:00Z",
        "user": user("coder-app[bot]", BOT_ID, "Bot"),
        "head": {"ref": branch, "sha": SHA, "repo": {"id": 77 if fork else 42, "name": "tools"}},
        "base": {"ref": "main", "sha": "b" * 40, "repo": {"id": 42, "name": "tools"}},
    }
    return facts | changes


def assigned(to: JsonObject | None = None, *, sender: JsonObject | None = None, **changes: Any) -> JsonObject:
    return {
        "action": "assigned",
        "assignee": to or user("coder-app[bot]", BOT_ID, "Bot"),
        "issue": issue(**changes),
        "repository": repository(),
        "sender": sender or user(),
    }


def opened(body: str | None = "@coder please look", *, sender: JsonObject | None = None, **changes: Any) -> JsonObject:
    author = sender or user()
    return {
        "action": "opened",
        "issue": issue(body=body, user=author, **changes),
        "repository": repository(),
        "sender": author,
    }


def pull_labeled(label: str = "coder", *, sender: JsonObject | None = None, **changes: Any) -> JsonObject:
    return {
        "action": "labeled",
        "label": {"id": 3, "name": label},
        "number": 30,
        "pull_request": pull(**changes),
        "repository": repository(),
        "sender": sender or user(),
    }


def reviewed(
    body: str | None = "Not yet", *, state: str = "changes_requested", review_id: int = 900, **changes: Any
) -> JsonObject:
    return {
        "action": "submitted",
        "review": {
            "id": review_id,
            "user": user(),
            "body": body,
            "state": state,
            "submitted_at": "2026-01-02T06:00:00Z",
            "commit_id": SHA,
        },
        "pull_request": pull(**changes),
        "repository": repository(),
        "sender": user(),
    }


def review_commented(body: str = "@coder rename it", *, review_id: int = 900, comment_id: int = 91) -> JsonObject:
    return {
        "action": "created",
        "comment": {
            "id": comment_id,
            "pull_request_review_id": review_id,
            "user": user(),
            "body": body,
            "path": "bills/money.py",
            "line": 3,
            "created_at": "2026-01-02T06:00:00Z",
            "pull_request_url": "https://api.github.com/repos/octo/tools/pulls/30",
        },
        "pull_request": pull(),
        "repository": repository(),
        "sender": user(),
    }


def check(
    event: str = "check_suite", *, conclusion: str | None = "failure", pulls: tuple[int, ...] = (30,), **changes: Any
) -> JsonObject:
    """A completed `check_run`, `check_suite` or `workflow_run`."""
    sides = {side: {"ref": "x", "sha": SHA, "repo": {"id": 42}} for side in ("head", "base")}
    facts: JsonObject = {
        "id": 7000,
        "name": "tests",
        "head_sha": SHA,
        "head_branch": "coder/issue-12-it-breaks",
        "status": "completed",
        "conclusion": conclusion,
        "html_url": "https://github.com/octo/tools/actions/runs/1",
        "pull_requests": [{"id": 1, "number": number, **sides} for number in pulls],
        "app": {"id": 15368, "slug": "github-actions", "name": "GitHub Actions"},
        "updated_at": "2026-01-02T07:00:00Z",
    }
    if event == "check_run":
        facts["check_suite"] = {"head_branch": facts.pop("head_branch")}
        facts["output"] = {"title": "1 failed", "summary": "test_money", "text": None}
    if event == "workflow_run":
        del facts["app"]
        facts["head_repository"] = {"id": 42}
    return {
        "action": "completed",
        event: facts | changes,
        "repository": repository() | {"default_branch": "main"},
        "sender": user("github-actions[bot]", 41, "Bot"),
    }


def status(state: str = "success", *, branch: str = "coder/issue-12-it-breaks", **changes: Any) -> JsonObject:
    """A commit status, as CI outside of GitHub sends it."""
    facts = {
        "id": 5,
        "sha": SHA,
        "state": state,
        "context": "ci/circle",
        "description": "2 tests failed",
        "target_url": "https://ci.example/1",
        "updated_at": "2026-03-01T00:00:00Z",
        "branches": [{"name": branch, "commit": {"sha": SHA}}],
        "repository": repository() | {"default_branch": "main"},
        "sender": user(),
    }
    return facts | changes


def dispatched(payload: object = None, *, action: str = "coder") -> JsonObject:
    return {
        "action": action,
        "branch": "main",
        "client_payload": {"issue": 12} if payload is None else payload,
        "repository": repository(),
        "sender": user(),
    }


def changed(payload: JsonObject, path: str, value: object = ...) -> JsonObject:
    """A deep copy of `payload` with the field at dotted `path` set, or removed."""
    result = copy.deepcopy(payload)
    *parents, last = path.split(".")
    place = result
    for parent in parents:
        place = place[parent]
    if value is ...:
        del place[last]
    else:
        place[last] = value
    return result


def delivery(
    event: str, payload: JsonObject | bytes, *, secret: str = SECRET, guid: str = "0-0"
) -> tuple[dict[str, str], bytes]:
    """Headers and body, signed."""
    body = payload if isinstance(payload, bytes) else json.dumps(payload).encode()
    headers = {
        "x-github-event": event,
        "x-github-delivery": guid,
        "x-hub-signature-256": sign(secret.encode(), body),
        "content-type": "application/json",
    }
    return headers, body


def config(state_dir: Path, **changes: Any) -> ServiceConfig:
    values = {
        "webhook_secret": SECRET,
        "state_dir": state_dir,
        "allowed_repos": ("octo/*",),
        "bot_login": "coder-app[bot]",
        "bot_id": BOT_ID,
        "model": "scripted",
    }
    return ServiceConfig.model_validate(values | changes)
