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
