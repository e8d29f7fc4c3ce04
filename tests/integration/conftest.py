"""What tests of the forge begin with: a test server, and the forge that speaks to it."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from coder.forge.github import GitHubForge
from tests.integration.github_support import running, settings
from tests.servers.github import GitHubServer


@pytest.fixture
def server(tmp_path: Path) -> Iterator[GitHubServer]:
    with running(tmp_path / "github") as server:
        yield server


@pytest.fixture
def forge(server: GitHubServer) -> Iterator[GitHubForge]:
    with GitHubForge(settings(server), sleep=lambda _: None) as forge:
        yield forge
