"""Webhooks of the App and of repositories at the GitHub test server, and how their last deliveries ended."""

from tests.servers.github_call import Answer, Call, Refusal
from tests.servers.github_state import Delivery, Hook, Json, Repo, State


def get_app_hook(call: Call) -> Answer:
    url = call.state.app_hook
    return 200, {"content_type": "json", "insecure_ssl": "0"} | ({"url": url} if url else {})


def list_app_deliveries(call: Call) -> Answer:
    made = call.state.deliveries[: int(call.query.get("per_page", "30"))]
    return 200, [_delivery(call.state, one) for one in made]


def _delivery(state: State, one: Delivery) -> Json:
    known = {
        "id": one.id,
        "guid": f"0b989ba4-242f-11e5-81e1-{one.id:012}",
        "event": one.event,
        "status": "OK" if one.status_code == 200 else "Invalid HTTP Response",
        "status_code": one.status_code,
    }
    return state.shape("hook-delivery-item", known)


def list_hooks(call: Call) -> Answer:
    repo = call.repo()
    role = repo.permissions.get(call.user().user.login)
    if role != "admin":
        raise Refusal(404, "Not Found")  # as GitHub says it to who may not see them
    return 200, [_hook(call.state, repo, number, hook) for number, hook in enumerate(repo.hooks, start=1)]


def _hook(state: State, repo: Repo, number: int, hook: Hook) -> Json:
    known = {
        "id": number,
        "type": "Repository",
        "name": "web",
        "active": hook.active,
        "events": list(hook.events),
        "config": {"url": hook.url, "content_type": "json", "insecure_ssl": "0"},
        "url": f"{state.url}/repos/{repo.full_name}/hooks/{number}",
        "last_response": {
            "code": hook.last_code,
            "status": "unused" if hook.last_code is None else "active",
            "message": None,
        },
    }
    return state.shape("hook", known)
