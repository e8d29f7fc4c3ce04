"""Lists of issues, what happened to an issue, and labels of a repository, at the GitHub test server."""

import zlib

from tests.servers.github_call import Answer, Call, Refusal
from tests.servers.github_state import issue_json, label_json, user_json


def list_issues(call: Call) -> Answer:
    repo = call.repo("issues", write=False)
    wanted = [name for name in call.query.get("labels", "").split(",") if name]
    state = call.query.get("state", "open")
    found = [
        issue
        for issue in repo.issues.values()
        if state in {"all", issue.state} and all(name in issue.labels for name in wanted)
    ]
    found.sort(key=lambda issue: issue.updated_at, reverse=call.query.get("direction", "desc") == "desc")
    return 200, [issue_json(call.state, repo, issue) for issue in found]


def list_events(call: Call) -> Answer:
    """Labellings alone: by the issue's author, when the issue changed last."""
    repo, issue = call.issue()
    url = f"{call.state.url}/repos/{repo.full_name}/issues/events"
    events = []
    for label in issue.labels:
        ident = zlib.crc32(f"{issue.id} {label}".encode())
        known = {
            "id": ident,
            "node_id": f"LE_{ident}",
            "url": f"{url}/{ident}",
            "actor": user_json(call.state, issue.user),
            "event": "labeled",
            "commit_id": None,
            "commit_url": None,
            "created_at": issue.updated_at,
            "label": {"name": label, "color": "ededed"},
        }
        events.append(call.state.shape("issue-event", known))
    return 200, events


def create_label(call: Call) -> Answer:
    repo = call.repo("issues", write=True)
    name = str(call.body.get("name", ""))
    if name in repo.labels:
        raise Refusal(422, "Validation Failed", [{"resource": "Label", "code": "already_exists", "field": "name"}])
    repo.labels.append(name)
    return 201, label_json(call.state, repo, name)
