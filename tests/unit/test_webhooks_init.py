"""What `coder init` writes and shows."""

import tomllib
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest

from coder.errors import InputError
from coder.forge.config import GitHubSettings
from coder.forge.github_access import EVENTS
from coder.settings import load
from coder.types import RepoRef
from webhooks.init import app_url, named, written


def test_the_file_is_private_and_can_be_loaded(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "coder.toml"

    written(path, "s" * 43, RepoRef(owner="octo", name="tools"))

    assert path.stat().st_mode & 0o777 == 0o600
    assert load(path).service.allowed_repos == ("octo/tools",)
    assert tomllib.loads(path.read_text())["service"]["webhook_secret"] == "s" * 43


def test_without_a_repository_nobody_is_allowed(tmp_path: Path) -> None:
    written(tmp_path / "coder.toml", "s" * 43, None)

    assert load(tmp_path / "coder.toml").service.allowed_repos == ()


def test_a_place_that_cannot_be_written_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")

    with pytest.raises(InputError, match="--config"):
        written(tmp_path / "file" / "coder.toml", "s" * 43, None)


@pytest.mark.parametrize("given", ["octo", "octo/", "/x", "a/b/c", 'o/n"', "../x", "o/..", "o n/x", "o/n\n"])
def test_what_is_no_repository_is_said(given: str) -> None:
    with pytest.raises(InputError, match="OWNER/NAME"):
        named(given)


def test_the_page_of_the_app_is_filled_in() -> None:
    shown = urlsplit(app_url(GitHubSettings(), "https://coder.acme.io/", "acme", mention="coder"))

    query = parse_qs(shown.query)
    assert shown.path == "/organizations/acme/settings/apps/new"
    assert query["webhook_url"] == ["https://coder.acme.io/webhooks/github"]
    assert tuple(query["events[]"]) == (*EVENTS, "repository_dispatch")
    assert (query["contents"], query["checks"], query["actions"]) == (["write"], ["write"], ["read"])
    assert "workflows" not in query


def test_deliveries_in_the_clear_are_refused() -> None:
    with pytest.raises(InputError, match="https"):
        app_url(GitHubSettings(), "http://coder.acme.io", None, mention="coder")
