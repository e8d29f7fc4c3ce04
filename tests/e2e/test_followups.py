"""What people say to a run, on real parts: a plan and its approval, a wish on the result, a stop."""

import json
import logging
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import docker
import pytest

from coder.trace.events import Continued, Finished
from tests.e2e.world import World, demo_turns, until
from tests.servers.model_turns import Turn

logger = logging.getLogger(__name__)

pytestmark = pytest.mark.docker


def call(name: str, **arguments: object) -> Turn:
    return Turn(calls=({"name": name, "arguments": json.dumps(arguments)},))


def handed_in(title: str) -> Turn:
    return call("submit", title=title, summary="As asked.", rationale=[], expected_failure="none", confirm=True)


@contextmanager
def started(folder: Path, turns: list[Turn]) -> Iterator[World]:
    with World(folder, turns=turns) as world:
        world.start()
        yield world


def results(world: World) -> list[str]:
    return [e.result.outcome.kind for e in world.events() if isinstance(e, Finished)]


def commits(world: World, branch: str) -> list[str]:
    shown = subprocess.run(
        ["git", "-C", str(world.repo.folder), "rev-list", f"main..{branch}"], check=True, capture_output=True, text=True
    )
    return shown.stdout.split()


def test_a_plan_is_approved_and_its_result_revised_on_one_branch(tmp_path: Path) -> None:
    wish = call("edit", path="README.md", edits=[{"old": "# bills", "new": "# Bills, to the cent"}])
    both = [handed_in("Say it in the README")] * 2  # the last look, and the word
    turns = [handed_in("Share the cents that are left"), *demo_turns(), wish, *both]
    with started(tmp_path, turns) as world:
        world.label(label="coder:plan")
        world.finish()
        planned = (results(world), world.pulls(), [c.body for c in world.comments()])

        world.comment("/coder approve")
        world.finish(times=2)
        first = commits(world, world.pulls()[0].head)
        world.comment("@coder revise say it in the README, too")
        world.finish(times=3)

        assert planned[:2] == (["asked"], [])
        assert "Share the cents" in "".join(planned[2])
        assert [e.followup.kind for e in world.events() if isinstance(e, Continued)] == ["approve", "revise"]
        assert len(world.pulls()) == 1
        assert commits(world, world.pulls()[0].head)[1:] == first
        assert len(world.comments()) == 1


def test_stop_ends_a_run_and_says_so(tmp_path: Path) -> None:
    with started(tmp_path, [call("run", command="sleep 600", timeout_s=900), handed_in("x")]) as world:
        world.label()
        until(lambda: world.answers() and containers(world), what="the command to run")

        begin = time.monotonic()
        comment = world.comment("/coder stop")
        until(lambda: not containers(world), what="the container to go")
        logger.info("stopped after %.1f s", time.monotonic() - begin)
        world.finish()

        assert results(world) == ["stopped"]
        assert ("coder-bot", "eyes") in comment.reactions
        assert world.pulls() == []
        assert any("stopped" in c.body for c in world.comments())


def containers(world: World) -> list[str]:
    client = docker.from_env()
    try:
        found = client.containers.list(filters={"label": f"coder.installation={world.installation}"})
        return [str(one.id) for one in found]
    finally:
        client.close()
