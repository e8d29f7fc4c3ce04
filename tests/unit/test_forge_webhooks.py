"""The deliveries that the test server makes are signed as GitHub signs them, and shaped as it shapes them."""

import hashlib
import hmac
import json
from pathlib import Path

from tests.servers.github import GitHubServer


def test_a_label_and_a_comment_are_delivered_as_github_does(tmp_path: Path) -> None:
    with GitHubServer(tmp_path) as server:
        repo = server.add_repository("octo/calc", {"a.py": "1\n"}, installation=77)
        issue = server.add_issue(repo, title="Wrong", body="text", author="octo")
        comment = server.add_comment(issue, author="octo", body="@coder fix")

        labeled_headers, labeled = server.labeled(repo, issue, label="coder", sender="octo", secret="s3cret")
        _, commented = server.commented(repo, issue, comment, secret="s3cret")

    digest = hmac.new(b"s3cret", labeled, hashlib.sha256).hexdigest()
    assert labeled_headers["X-Hub-Signature-256"] == f"sha256={digest}"
    assert labeled_headers["X-GitHub-Event"] == "issues"
    payload = json.loads(labeled)
    assert (payload["action"], payload["label"]["name"], payload["issue"]["number"]) == ("labeled", "coder", 1)
    assert (payload["repository"]["full_name"], payload["sender"]["login"]) == ("octo/calc", "octo")
    assert payload["installation"]["id"] == 77
    payload = json.loads(commented)
    assert (payload["action"], payload["comment"]["body"], payload["comment"]["id"]) == (
        "created",
        "@coder fix",
        comment.id,
    )
