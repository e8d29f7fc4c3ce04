"""`POST /api/v1/runs`."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from coder.errors import ForgeError
from coder.types import JsonObject, RepoRef
from tests.unit.webhooks_payloads import SECRET, config, repository
from webhooks.app import MAX_REQUEST_BYTES, WebParts, create_app
from webhooks.engine.memory import MemoryEngine
from webhooks.intake import Intake
from webhooks.store import Store

URL = "/api/v1/runs"
TOKEN = "token of the operator"


class Api:
    """The application, with a GitHub that knows `octo/tools`."""

    def __init__(self, folder: Path, *, token: str | None = TOKEN) -> None:
        self.engine, self.store = MemoryEngine(None), Store(folder / "deliveries.db")
        intake = Intake(SECRET.encode(), config(folder).rules(), self.store, self.engine)
        parts = WebParts(
            intake=intake, store=self.store, engine=self.engine, describe_repository=describe, api_token=token
        )
        self.client = TestClient(create_app(parts), client=("127.0.0.1", 5000))

    def post(self, body: object, *, key: str | None = None, token: str | None = TOKEN) -> tuple[int, JsonObject]:
        headers = {"authorization": f"Bearer {token}"} if token is not None else {}
        headers |= {"idempotency-key": key} if key is not None else {}
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        answer = self.client.post(URL, content=content, headers=headers)
        return answer.status_code, answer.json()

    def close(self) -> None:
        self.engine.close()
        self.store.close()


def describe(repo: RepoRef) -> JsonObject:
    if repo.name != "tools":
        raise ForgeError(f"cannot read {repo.full_name}: GitHub says 404 Not Found")
    return repository(repo.full_name)


def body(**changes: Any) -> JsonObject:
    values = {"repo": "octo/tools", "issue": 12, "requested_by": "mona"} | changes
    return {name: value for name, value in values.items() if value is not ...}


@pytest.fixture
def api(tmp_path: Path) -> Iterator[Api]:
    made = Api(tmp_path)
    with made.client:
        yield made
    made.close()


def test_a_run_is_asked_for_and_read(api: Api) -> None:
    status, answer = api.post(body(options={"max": 2, "steps": "10"}))

    shown = api.client.get(f"{URL}/{answer['run']}", headers={"authorization": f"Bearer {TOKEN}"})
    assert status == 202
    assert shown.status_code == 200
    assert (shown.json()["state"], shown.json()["task"]["number"]) == ("queued", 12)
    assert shown.json()["task"]["limits"]["max_cost_usd"] == 2.0
    assert shown.json()["task"]["requested_by"] == "mona"


def test_a_prompt_needs_no_issue(api: Api) -> None:
    status, answer = api.post(body(issue=..., title="Tidy", prompt="Sort the imports", verb="plan"))

    task = api.store.task(answer["run"])
    assert status == 202
    assert task is not None
    assert (task.kind, task.mode, task.prompt_title, task.prompt) == ("prompt", "plan", "Tidy", "Sort the imports")


def test_the_same_key_is_the_same_run(api: Api) -> None:
    first = api.post(body(), key="abc")
    again = api.post(body(), key="abc")
    other = api.post(body(issue=13), key="def")
    misused = api.post(body(issue=14), key="abc")

    assert first == again
    assert other[1]["run"] != first[1]["run"]
    assert misused == (409, {"error": "the key was used for another request before"})
    assert len(api.engine.list()) == 2


def test_an_issue_that_is_worked_on_is_refused_with_the_reason(api: Api) -> None:
    api.post(body())

    status, answer = api.post(body())

    assert status == 202
    assert "is not over yet" in answer["refused"]


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"repo": "octo"}, "repo"),
        ({"repo": "../../x/y"}, "repo"),
        ({"repo": ...}, "repo"),
        ({"issue": 0}, "issue"),
        ({"issue": "x"}, "issue"),
        ({"issue": ...}, "body"),
        ({"title": "a", "prompt": "b"}, "body"),
        ({"issue": ..., "title": "a"}, "body"),
        ({"issue": ..., "title": "a", "prompt": " "}, "body"),
        ({"verb": "stop"}, "verb"),
        ({"requested_by": "a b"}, "requested_by"),
        ({"requested_by": ...}, "requested_by"),
        ({"options": {"max": "-1"}}, "options"),
        ({"options": {"colour": "red"}}, "options"),
        ({"options": {"max": [1]}}, "options.max"),
        ({"colour": "red"}, "colour"),
    ],
)
def test_what_does_not_fit_is_named(api: Api, changes: JsonObject, field: str) -> None:
    status, answer = api.post(body(**changes))

    assert status == 422
    assert [problem["field"] for problem in answer["problems"]] == [field]
    assert api.engine.list() == ()


@pytest.mark.parametrize("content", [b"", b"[]", b"nonsense", b'{"repo":', b"\xff", b'{"a":' * 10_000])
def test_a_body_that_is_no_object_is_named(api: Api, content: bytes) -> None:
    status, answer = api.post(content)

    assert status == 422
    assert answer["problems"]


@pytest.mark.parametrize("key", ["", "x" * 201, "a b"])
def test_an_odd_key_is_refused(api: Api, key: str) -> None:
    assert api.post(body(), key=key)[0] == 400


def test_a_repository_that_is_not_allowed_or_not_there(api: Api) -> None:
    assert api.post(body(repo="evil/tools")) == (403, {"error": "repository evil/tools is not allowed"})
    status, answer = api.post(body(repo="octo/gone"))
    assert status == 502
    assert "404 Not Found" in answer["error"]


def test_a_body_over_the_limit_is_413(api: Api) -> None:
    assert api.post(b" " * (MAX_REQUEST_BYTES + 1))[0] == 413


@pytest.mark.parametrize("given", [None, "", "wrong", TOKEN + "x", TOKEN[:-1], "\u00e9"])
def test_only_the_token_may_ask(api: Api, given: str | None) -> None:
    headers = {} if given is None else {b"authorization": f"Bearer {given}".encode()}
    answer = api.client.post(URL, json=body(), headers=headers)

    assert answer.status_code == 403
    assert api.engine.list() == ()


def test_without_a_token_nobody_may_ask_not_even_from_here(tmp_path: Path) -> None:
    made = Api(tmp_path, token=None)
    with made.client:
        status, answer = made.post(body(), token=None)
    made.close()

    assert status == 403
    assert answer == {"error": "asking for runs needs the API token"}


def test_memory_for_bodies_is_given_back(api: Api) -> None:
    large = body(issue=..., title="a", prompt="x" * 50_000)
    answers = {api.post(large, key=f"k{number}")[0] for number in range(40)}
    answers |= {api.post(b" " * MAX_REQUEST_BYTES)[0] for _ in range(80)}

    assert answers == {202, 422}
