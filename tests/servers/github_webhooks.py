"""Webhook deliveries as GitHub makes them: payload shapes, headers and signature."""

import hashlib
import hmac
import json
import uuid
from collections.abc import Sequence
from typing import Any

from tests.servers.github_state import (
    Issue,
    Json,
    Pull,
    Repo,
    Review,
    ReviewComment,
    State,
    User,
    comment_json,
    issue_json,
    label_json,
    pull_json,
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


def event_payload(state: State, repo: Repo, payload: Json, *, sender: str) -> Json:
    """`payload` with what every event has."""
    return payload | {"repository": repo_json(state, repo), "sender": user_json(state, state.user(sender))}


def review_payloads(
    state: State, repo: Repo, pull: Pull, *, author: str, body: str, remarks: Sequence[tuple[str, str]], verdict: str
) -> list[tuple[str, Json]]:
    """A review with remarks (path, text) on first lines, which the pull request has from then on: its deliveries, by name.

    GitHub sends one for each remark, and one for the review, in any order.
    """
    person = user_json(state, state.user(author))
    review_id, at = next(state.ids), state.now
    made = [
        ReviewComment(next(state.ids), state.user(author), path, text, at, review_id=review_id, line=1)
        for path, text in remarks
    ]
    pull.review_comments += made
    pull.reviews.append(Review(review_id, state.user(author), body, verdict, at))
    facts = pull_json(state, repo, pull)
    comments = [
        {"id": one.id, "pull_request_review_id": review_id, "user": person, "body": one.body, "created_at": at}
        for one in made
    ]
    review = {"id": review_id, "user": person, "state": verdict, "body": body, "submitted_at": at}
    return [
        *(
            ("pull_request_review_comment", {"action": "created", "comment": one, "pull_request": facts})
            for one in comments
        ),
        ("pull_request_review", {"action": "submitted", "review": review, "pull_request": facts}),
    ]
