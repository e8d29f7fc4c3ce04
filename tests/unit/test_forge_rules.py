"""The checks of the GitHub test server can fail."""

from typing import Any

import pytest

from tests.servers.github_rules import Rules

HEADERS = {
    "Accept": "application/vnd.github+json",
    "X-GitHub-Api-Version": "2022-11-28",
    "User-Agent": "coder",
    "Content-Type": "application/json",
}
REPO = "/repos/octo/calc"


@pytest.fixture(scope="module")
def rules() -> Rules:
    return Rules()


def asked(rules: Rules, method: str, path: str, body: Any = None, **query: str) -> list[str]:
    return rules.request(method, REPO + path, query, HEADERS, body)


@pytest.mark.parametrize(
    ("method", "path", "body", "query"),
    [
        ("GET", "", None, {}),
        ("GET", "/pulls", None, {"state": "all", "head": "octo:x", "per_page": "100"}),
        ("POST", "/issues/1/comments", {"body": "x"}, {}),
        ("POST", "/issues/1/labels", {"labels": ["x"]}, {}),
        ("DELETE", "/issues/1/labels/x", None, {}),
        ("GET", "/git/ref/heads/a/b", None, {}),
        ("POST", "/issues/1/reactions", {"content": "eyes"}, {}),
    ],
)
def test_what_is_described_is_fine(rules: Rules, method: str, path: str, body: Any, query: dict[str, str]) -> None:
    assert asked(rules, method, path, body, **query) == []


@pytest.mark.parametrize(
    ("method", "path", "body", "query"),
    [
        ("GET", "/nothing", None, {}),
        ("PUT", "", None, {}),
        ("GET", "/pulls", None, {"state": "merged"}),
        ("GET", "/pulls", None, {"order": "asc"}),
        ("GET", "/pulls", None, {"per_page": "many"}),
        ("POST", "/issues/1/comments", None, {}),
        ("POST", "/issues/1/comments", {}, {}),
        ("POST", "/issues/1/comments", {"body": 1}, {}),
        ("POST", "/issues/1/comments", {"body": "x", "extra": 1}, {}),
        ("POST", "/issues/1/labels", ["x"], {}),
        ("POST", "/issues/1/reactions", {"content": "shrug"}, {}),
        ("DELETE", "/issues/1/labels/x", {"a": 1}, {}),
        ("POST", "/pulls", {"title": "x", "head": "a"}, {}),
        ("POST", "/pulls", {"title": "x", "head": "a", "base": "b", "draft": "yes"}, {}),
    ],
)
def test_what_is_not_described_is_told(rules: Rules, method: str, path: str, body: Any, query: dict[str, str]) -> None:
    assert asked(rules, method, path, body, **query)


@pytest.mark.parametrize("name", ["Accept", "X-GitHub-Api-Version", "User-Agent", "Content-Type"])
def test_each_header_is_minded(rules: Rules, name: str) -> None:
    headers = {given: value for given, value in HEADERS.items() if given != name}

    assert rules.request("POST", REPO + "/issues/1/comments", {}, headers, {"body": "x"})


def test_answers_are_minded_too(rules: Rules) -> None:
    comment = rules.complete("issue-comment", {"id": 1}, "http://x")

    def said(status: int, result: Any) -> list[str]:
        return rules.answer("POST", REPO + "/issues/1/comments", status, result)

    assert said(201, comment) == []
    assert said(200, comment)
    assert said(201, comment | {"id": "1"})
    assert said(201, comment | {"created_at": "yesterday"})
    assert said(201, {name: value for name, value in comment.items() if name != "html_url"})
    assert said(422, {"message": "no"}) == []


def test_a_new_fields_default_is_what_its_type_wants(rules: Rules) -> None:
    made = rules.complete("pull-request", {}, "http://x")

    assert rules.fits("@pull-request", made)
    assert made["head"]["repo"]["owner"]["type"] == ""
