"""Webhook deliveries as GitHub makes them: payload shapes, headers and signature."""

import hashlib
import hmac
import json
import uuid
from typing import Any

from tests.servers.github_state import (
    Issue,
    Json,
    Repo,
    State,
    User,
    comment_json,
    issue_json,
    label_json,
    repo_json,
    user_json,
)


def signed_webhook(
    event: str, payload: Any, secret: str, *, delivery: str | None = None
) -> tuple[dict[str, str], bytes]:
    """Headers and body of a delivery, signed with `secret`."""
    body = json.dumps(payload).encode()
    headers = {
        "Content-Type": "application/json",
        "User-Agent": "GitHub-Hookshot/0000000",
        "X-GitHub-Event": event,
        "X-GitHub-Delivery": delivery or str(uuid.uuid4()),
        "X-GitHub-Hook-ID": "1",
        "X-Hub-Signature-256": "sha256=" + hmac.new(secret.encode(), body, hashlib.sha256).hexdigest(),
    }
    return headers, body


def _common(state: State, repo: Repo, issue: Issue, sender: User, action: str) -> Json:
    payload: Json = {
        "action": action,
        "issue": issue_json(state, repo, issue),
        "repository": repo_json(state, repo),
        "sender": user_json(state, sender),
    }
    if repo.installation is not None:
        payload["installation"] = {"id": repo.installation, "node_id": "MDIzOk"}
    return payload


def labeled_payload(state: State, repo: Repo, number: int, *, label: str, sender: str) -> Json:
    """`issues.labeled`: `sender` put `label` on the issue (which has it from then on)."""
    issue = repo.issues[number]
    if label not in issue.labels:
        issue.labels.append(label)
    payload = _common(state, repo, issue, state.user(sender), "labeled")
    return payload | {"label": label_json(state, repo, label)}


def comment_payload(state: State, repo: Repo, number: int, *, comment_id: int) -> Json:
    """`issue_comment.created` for a comment that exists."""
    issue = repo.issues[number]
    comment = next(comment for comment in issue.comments if comment.id == comment_id)
    payload = _common(state, repo, issue, comment.user, "created")
    return payload | {"comment": comment_json(state, repo, issue, comment)}
