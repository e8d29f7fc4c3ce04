"""Event and rules to task or reasoned refusal."""

from collections.abc import Callable
from pathlib import Path

import pytest

from coder.types import JsonObject, Task
from tests.unit.webhooks_payloads import BOT_ID, changed, commented, config, labeled, repository, user
from webhooks.decisions import Situation, decide
from webhooks.events import Labeled, Malformed
from webhooks.reading import read
from webhooks.rules import Refusal, Rules, is_allowed
from webhooks.triggers import asked
from webhooks.work import RUN_ID

RULES = config(Path("unused")).rules()


def outcome(event: str, payload: JsonObject, rules: Rules = RULES) -> Task | Refusal:
    """The task of a request where nothing is going on yet."""
    request = asked(read(event, payload), rules)
    if isinstance(request, Refusal):
        return request
    decision = decide(request, Situation(now="2026-01-03T00:00:00Z"), rules)
    return decision.work.task if decision.work is not None else Refusal(decision.reason)


def run_id(event: str, payload: JsonObject) -> str:
    task = outcome(event, payload)
    assert isinstance(task, Task), task
    return task.run_id


def refusal(event: str, payload: JsonObject, rules: Rules = RULES) -> str:
    result = outcome(event, payload, rules)
    assert isinstance(result, Refusal), result
    return result.reason


def test_the_label_starts_a_run() -> None:
    task = outcome("issues", labeled())

    assert isinstance(task, Task)
    assert (task.repo.full_name, task.number, task.kind) == ("octo/tools", 12, "issue")
    assert (task.requested_by, task.requested_at) == ("mona", "2026-01-02T03:04:05Z")
    assert task.comment_id is None
    assert task.model == "scripted"
    assert RUN_ID.fullmatch(task.run_id)


def test_the_command_starts_a_run() -> None:
    task = outcome("issue_comment", commented("Please @coder fix this"))

    assert isinstance(task, Task)
    assert (task.comment_id, task.requested_at) == (77, "2026-01-02T04:00:00Z")
    assert task.run_id.startswith("gh42-12-")
    assert RUN_ID.fullmatch(task.run_id)


def test_our_own_login_is_a_handle() -> None:
    assert isinstance(outcome("issue_comment", commented("@coder-app fix")), Task)


@pytest.mark.parametrize("label", ["Coder", "CODER"])
def test_labels_ignore_case_as_at_github(label: str) -> None:
    assert isinstance(outcome("issues", labeled(label=label)), Task)


@pytest.mark.parametrize("label", ["bug", "coder ", "\u0441oder", "coder\u200b", "coder:plans", "c\u00f6der"])
def test_look_alike_labels_start_nothing(label: str) -> None:
    assert "is not 'coder'" in refusal("issues", labeled(label=label))


@pytest.mark.parametrize(
    ("event", "make"), [("issues", labeled), ("issue_comment", commented)], ids=["label", "comment"]
)
@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"state": "closed"}, "issue #12 is closed"),
        ({"locked": True}, "issue #12 is locked"),
        ({"locked": "yes"}, "issue #12 is locked"),
        ({"assignees": [user("lisa", 9)]}, "issue #12 is assigned to lisa"),
        ({"sender": user("x[bot]", 8, "Bot")}, "'x[bot]' is a bot that is not allowed (id 8)"),
        ({"sender": user("acme", 8, "Organization")}, "is a bot that is not allowed"),
        ({"sender": user("coder-app[bot]", 1, "Bot")}, "our own"),
        ({"sender": user("renamed", BOT_ID)}, "our own"),
        ({"sender": user("Coder-App", 4)}, "our own"),
        (
            {"repo": repository("evil/tools"), "repository_url": "https://api.github.com/repos/evil/tools"},
            "repository evil/tools is not allowed",
        ),
    ],
)
def test_the_gate_refuses_with_a_reason(
    event: str, make: Callable[..., JsonObject], changes: JsonObject, reason: str
) -> None:
    payload = make(**changes)
    payload.get("comment", {}).pop("issue_url", None)

    assert reason in refusal(event, payload)


def test_an_allowed_bot_may_ask() -> None:
    rules = config(Path("unused"), allowed_bots=(8,)).rules()

    assert isinstance(outcome("issues", labeled(sender=user("x[bot]", 8, "Bot")), rules), Task)


def test_no_allowed_repository_is_none() -> None:
    rules = config(Path("unused"), allowed_repos=()).rules()

    assert "is not allowed" in refusal("issues", labeled(), rules)


@pytest.mark.parametrize(
    ("patterns", "allowed"),
    [
        (("*",), True),
        (("octo/tools",), True),
        (("OCTO/Tools",), True),
        (("octo/*",), True),
        (("oct/*", "octo/tool"), False),
        (("octo/t*",), False),
        (("octo",), False),
        ((), False),
    ],
)
def test_the_allow_list(patterns: tuple[str, ...], *, allowed: bool) -> None:
    assert is_allowed("Octo/tools", patterns) is allowed


def test_a_comment_without_a_command_starts_nothing() -> None:
    assert refusal("issue_comment", commented("I agree")) == "no command in the comment"
    assert refusal("issue_comment", commented("I think @coder is right")) == "we are mentioned, not asked"
    assert refusal("issue_comment", commented("/coder deploy")) == "asked for what there is not"
    assert refusal("issue_comment", commented("/coder")) == "asked for what there is not"


def test_a_comment_sent_by_somebody_else_starts_nothing() -> None:
    payload = changed(commented(), "comment.user", user("stranger", 66))

    assert "author did not send" in refusal("issue_comment", payload)


def test_the_run_id_is_the_same_for_a_redelivery() -> None:
    assert outcome("issues", labeled()) == outcome("issues", labeled())
    assert outcome("issue_comment", commented()) == outcome("issue_comment", commented())


@pytest.mark.parametrize("envelope", ["installation", "organization", "enterprise"])
def test_what_surrounds_the_issue_does_not_change_the_run(envelope: str) -> None:
    payload = labeled() | {envelope: {"id": 1}}

    assert outcome("issues", payload) == outcome("issues", labeled())


@pytest.mark.parametrize(
    "payload",
    [
        labeled(updated_at="2026-01-02T03:04:06Z"),
        labeled(comments=1),
        labeled(number=13),
        labeled(sender=user("lisa", 9)),
        labeled(repo=repository(ident=43)),
    ],
)
def test_another_labelling_is_another_run(payload: JsonObject) -> None:
    assert run_id("issues", payload) != run_id("issues", labeled())


def test_another_comment_is_another_run() -> None:
    assert run_id("issue_comment", commented(comment_id=78)) != run_id("issue_comment", commented(comment_id=77))


@pytest.mark.parametrize(
    ("event", "action"),
    [("issues", "closed"), ("issues", None), ("issue_comment", "edited"), ("push", "x"), ("issues", ["labeled"])],
)
def test_other_events_are_named(event: str, action: object) -> None:
    assert f"nothing reacts to {event}" in refusal(event, labeled() | {"action": action})


@pytest.mark.parametrize(
    "path",
    ["issue", "issue.number", "issue.updated_at", "repository", "repository.id", "repository.owner", "sender", "label"],
)
def test_a_label_event_without_a_needed_field_is_malformed(path: str) -> None:
    event = read("issues", changed(labeled(), path))

    assert isinstance(event, Malformed)
    assert path.rpartition(".")[2] in event.reason


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("issue.number", 0),
        ("issue.number", -1),
        ("issue.number", True),
        ("issue.number", 12.0),
        ("issue.number", "12"),
        ("issue.number", 2**63),
        ("issue.updated_at", "yesterday"),
        ("issue.updated_at", "2026-01-02T03:04:05Z\nx"),
        ("issue.repository_url", "https://api.github.com/repos/evil/tools"),
        ("repository.name", "../../etc"),
        ("repository.name", ".."),
        ("repository.name", "a b"),
        ("repository.full_name", "evil/tools"),
        ("repository.owner.login", "-;rm"),
        ("label.name", None),
        ("label.name", ""),
        ("label", "coder"),
        ("sender.id", None),
        ("sender", []),
    ],
)
def test_an_odd_field_is_malformed(path: str, value: object) -> None:
    assert isinstance(read("issues", changed(labeled(), path, value)), Malformed)


def test_a_comment_of_another_issue_is_malformed() -> None:
    payload = changed(commented(), "comment.issue_url", "https://api.github.com/repos/octo/tools/issues/13")

    assert read("issue_comment", payload) == Malformed("the comment belongs to another issue")


@pytest.mark.parametrize(
    ("name", "payload"),
    [("issues", commented() | {"action": "labeled"}), ("issue_comment", labeled() | {"action": "created"})],
)
def test_a_body_under_another_events_name_is_malformed(name: str, payload: JsonObject) -> None:
    assert isinstance(read(name, payload), Malformed)


@pytest.mark.parametrize("payload", [None, [], "text", 1, True])
def test_a_body_that_is_no_object_is_malformed(payload: object) -> None:
    assert isinstance(read("issues", payload), Malformed)


def test_a_ping_starts_nothing() -> None:
    assert refusal("ping", {}) == "a ping"


def test_an_issue_too_deep_to_fingerprint_is_malformed() -> None:
    deep: JsonObject = {}
    for _ in range(100_000):
        deep = {"a": deep}

    assert read("issues", labeled(body=deep)) == Malformed("the body is nested too deep")


def test_text_that_no_database_takes_is_made_harmless() -> None:
    event = read("issues", labeled(label="a\ud800\0b"))

    assert isinstance(event, Labeled)
    assert event.label == "a?\ufffdb"
