"""What the service asks GitHub beside any run, and `coder init`'s labels, against the test server."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from pydantic import SecretStr

from coder.app import who_we_are
from coder.errors import ForgeError
from coder.forge.config import GitHubSettings
from coder.forge.github_app import Identity
from coder.forge.github_lookup import GitHubLookup
from coder.types import RepoRef
from tests.servers.github import Fault, GitHubServer
from webhooks.init import labels_made
from webhooks.reading import labeled_again, repository_of
from webhooks.rules import Labels

TOKEN = "ghp_0123456789abcdefghijklmnopqrstuvwxyzAB"
REF = RepoRef(owner="octo", name="bills")


@pytest.fixture
def github(tmp_path: Path) -> Iterator[GitHubServer]:
    with GitHubServer(tmp_path) as server:
        server.add_repository("octo/bills", {"a": "b"})
        server.add_token(TOKEN, "coder-bot")
        yield server


@pytest.fixture
def settings(github: GitHubServer) -> GitHubSettings:
    return GitHubSettings(
        api_url=github.url,
        git_url=github.url,
        http_hosts=frozenset({github.host}),
        token=SecretStr(TOKEN),
        seconds_between_requests=0,
        seconds_between_writes=0,
        retry_backoff_s=0,
    )


@pytest.fixture
def lookup(settings: GitHubSettings) -> Iterator[GitHubLookup]:
    with GitHubLookup(settings) as lookup:
        yield lookup


def test_a_repository_is_what_its_webhooks_say(lookup: GitHubLookup) -> None:
    found = repository_of(lookup.repository(REF))

    assert (found.full_name, found.default_branch) == ("octo/bills", "main")


def test_a_repository_that_is_not_there_is_said(lookup: GitHubLookup) -> None:
    with pytest.raises(ForgeError, match="404"):
        lookup.repository(RepoRef(owner="octo", name="gone"))


def test_labelled_issues_are_listed_and_what_is_known_is_not_listed_again(
    github: GitHubServer, lookup: GitHubLookup
) -> None:
    repo = github.state.repos["octo/bills"]
    github.add_issue(repo, title="Other", body=None, author="ann")
    issue = github.add_issue(repo, title="It breaks", body="Badly", author="ann")
    issue.labels.append("coder:plan")

    first = lookup.labelled(REF, "coder:plan", limit=30)
    again = lookup.labelled(REF, "coder:plan", limit=30)
    unchanged = list(github.state.unchanged)
    issue.title = "It still breaks"
    changed = lookup.labelled(REF, "coder:plan", limit=30)

    assert [one["number"] for one in first] == [issue.number]
    assert again == first
    assert unchanged == ["/repos/octo/bills/issues"]
    assert [one["title"] for one in changed] == ["It still breaks"]


def test_a_labelling_is_read_as_its_webhook_would_be(github: GitHubServer, lookup: GitHubLookup) -> None:
    repo = github.state.repos["octo/bills"]
    issue = github.add_issue(repo, title="It breaks", body="Badly", author="ann")
    issue.labels += ["bug", "coder"]

    event = lookup.labelling(REF, issue.number, "coder")
    listing = lookup.labelled(REF, "coder", limit=30)

    assert event is not None
    read = labeled_again(repository_of(lookup.repository(REF)), listing[0], event["actor"], "coder")
    assert (read.sender.login, read.issue.number, read.issue.is_open) == ("ann", issue.number, True)
    assert lookup.labelling(REF, issue.number, "coder:plan") is None


def test_labels_are_made_where_they_are_missing(github: GitHubServer, lookup: GitHubLookup) -> None:
    github.state.repos["octo/bills"].labels.append("coder:plan")

    lines = labels_made(lookup, REF, Labels())

    assert lines == [
        "label coder: made",
        "label coder:plan: is there already",
        "label coder:auto: made",
        "label coder:heavy: made",
    ]


def test_labels_that_we_may_not_make_are_said(github: GitHubServer, lookup: GitHubLookup) -> None:
    github.add_token(TOKEN, "coder-bot", permissions={"metadata": "read"})

    with pytest.raises(ForgeError, match="cannot make the label 'coder' in octo/bills"):
        labels_made(lookup, REF, Labels())


def test_who_we_are_is_asked_of_github_unless_the_settings_say_it(
    github: GitHubServer, settings: GitHubSettings
) -> None:
    bot = github.state.user("coder-bot")
    github.faults.append(Fault("cut", method="GET", path="/user$"))

    named = who_we_are(settings.model_copy(update={"bot_login": "Coder-Bot"}), mention="coder")
    addressed = who_we_are(settings, mention="Coder-bot")
    told = who_we_are(settings.model_copy(update={"bot_login": "us", "bot_id": 7}), mention="coder")
    a_persons = who_we_are(settings, mention="coder")
    another = who_we_are(settings.model_copy(update={"bot_login": "somebody"}), mention="coder")
    github.state.tokens.clear()

    assert named == addressed == Identity(bot.login, bot.id)
    assert told == Identity("us", 7)
    assert (a_persons, another) == (None, None)
    assert who_we_are(settings, mention="coder-bot") is None
