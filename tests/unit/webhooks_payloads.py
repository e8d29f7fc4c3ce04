"""Deliveries as GitHub sends them, cut down to what matters."""

import copy
import json

from webhooks.config import ServiceConfig
from webhooks.signature import sign

SECRET = "correct horse battery"
BOT_ID = 990


def user(login="mona", ident=7, kind="User"):
    return {"login": login, "id": ident, "type": kind}


def repository(full_name="octo/tools", ident=42):
    owner, _, name = full_name.partition("/")
    return {"id": ident, "name": name, "full_name": full_name, "owner": user(owner, 1, "Organization")}


def issue(number=12, **changes):
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


def labeled(*, label="coder", sender=None, repo=None, **changes):
    return {
        "action": "labeled",
        "label": {"id": 3, "name": label},
        "issue": issue(**changes),
        "repository": repo or repository(),
        "sender": sender or user(),
    }


def commented(body="@coder fix", *, sender=None, comment_id=77, repo=None, **changes):
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


def changed(payload, path, value=...):
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


def delivery(event, payload, *, secret=SECRET, guid="0-0"):
    """Headers and body, signed."""
    body = payload if isinstance(payload, bytes) else json.dumps(payload).encode()
    headers = {
        "x-github-event": event,
        "x-github-delivery": guid,
        "x-hub-signature-256": sign(secret.encode(), body),
        "content-type": "application/json",
    }
    return headers, body


def config(state_dir, **changes):
    values = {
        "webhook_secret": SECRET,
        "state_dir": state_dir,
        "allowed_repos": ("octo/*",),
        "bot_login": "coder-app[bot]",
        "bot_id": BOT_ID,
        "model": "scripted",
    }
    return ServiceConfig.model_validate(values | changes)
