"""The whole way round: a run opens a pull request at GitHub, and somebody else verifies what it claims."""

import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from coder.errors import ForgeError, InputError
from coder.forge.config import GitHubSettings
from coder.local_run import RunCommand, execute
from coder.local_verify import verify
from coder.settings import ModelSettings, Settings
from tests.contract.sandbox_support import git
from tests.servers.github import GitHubServer
from tests.servers.github_state import Pull

DEMO = Path(__file__).resolve().parents[2] / "demo"


@dataclass
class World:
    """GitHub with a pull request of ours, and somebody who has nothing but a token that may read."""

    server: GitHubServer
    settings: Settings
    checkout: Path

    @property
    def pull(self) -> Pull:
        return next(iter(self.server.state.repos["octo/bills"].pulls.values()))

    def verify(self, target: str) -> tuple[tuple[str, bool], list[str]]:
        said: list[str] = []
        outcome = verify(
            target, repo=self.checkout, base="", evidence=None, settings=self.settings, unsafe=True, echo=said.append
        )
        return outcome, said


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    tmp_path = tmp_path_factory.mktemp("world")
    checkout = tmp_path / "bills"
    shutil.copytree(DEMO / "repository", checkout, ignore=shutil.ignore_patterns("__pycache__"))
    git(checkout, "init", "--quiet", "--initial-branch=main")
    git(checkout, "add", "--all")
    git(checkout, "commit", "--quiet", "-m", "Split bills")
    files = {p.relative_to(checkout).as_posix(): p.read_bytes() for p in checkout.rglob("*") if p.is_file()}
    (tmp_path / "github").mkdir()
    with GitHubServer(tmp_path / "github") as server:
        code = {path: data for path, data in files.items() if not path.startswith(".git/")}
        repo = server.add_repository("octo/bills", code)
        server.add_token("a-token-of-ann", "ann")
        server.add_user("ann", repo=repo, permission="write")
        issue = server.add_issue(repo, title="Shares do not add up", body="One cent is lost.", author="ann")
        given = {
            "api_url": server.url,
            "git_url": server.url,
            "http_hosts": [server.host],
            "token": "a-token-of-ann",
            "seconds_between_requests": 0,
            "seconds_between_writes": 0,
        }
        settings = Settings(
            state_dir=tmp_path / "state",
            model=ModelSettings(profile="kimi-k2-thinking-vllm"),
            github=GitHubSettings.model_validate(given),
        )
        command = RunCommand(
            issue=f"octo/bills#{issue.number}",
            issue_file=None,
            prompt="",
            repo=checkout,
            apply=False,
            dry_run=None,
            pull_request=True,
            resume="",
            recorded=DEMO / "answers.json",
            allow_dirty=False,
            unsafe=True,
        )
        assert execute(command, settings).verdict.kind == "proven"
        yield World(server, settings.model_copy(update={"state_dir": tmp_path / "another machine"}), checkout)


def test_what_a_pull_request_claims_is_verified_from_its_address_alone(world: World) -> None:
    outcome, said = world.verify(f"{world.server.url}/octo/bills/pull/{world.pull.number}")

    assert outcome == ("proven", True)
    assert "the published evidence holds" in said
    assert any(line.startswith("  holds    tree of the change: ") for line in said)


def test_a_claim_that_was_bent_is_caught_with_its_line(world: World) -> None:
    honest = world.pull.body
    assert '"verdict": "proven"' in honest
    head, count, tail = honest.rpartition('"passed": ')
    world.pull.body = f"{head}{count}9{tail}"
    try:
        outcome, said = world.verify(f"octo/bills#{world.pull.number}")
    finally:
        world.pull.body = honest

    assert outcome == ("proven", False)
    assert "the published evidence does NOT hold" in said
    assert [line for line in said if line.startswith("  DIFFERS  head+old tests: passed/failed/errors/skipped")]


def test_what_carries_no_evidence_or_is_not_there_says_so(world: World) -> None:
    honest = world.pull.body
    world.pull.body = "All tests pass, trust me."
    try:
        with pytest.raises(InputError, match="carries no evidence"):
            world.verify(f"octo/bills#{world.pull.number}")
    finally:
        world.pull.body = honest
    with pytest.raises(ForgeError, match="octo/bills#999"):
        world.verify("octo/bills#999")
