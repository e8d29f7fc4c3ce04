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

from coder.trace.events import Continued, Finished, ToolFinished
from tests.e2e.world import World, demo_turns, until
from tests.servers.github_git import git
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


LONG = {
    "a command takes minutes": call("run", command="sleep 600; echo 9 > shares.txt", timeout_s=900),
    "the model does not answer": Turn(fault="stall"),
}
FILES: dict[str, str | bytes] = {
    "shares.txt": "1 1 1\n",
    "check.sh": "grep -q 1 shares.txt\n",
    "shares.py": "print(open('shares.txt').read())\n",
    ".coder.yml": "test: sh check.sh\n",
}


@pytest.mark.parametrize("what", LONG)
def test_stop_ends_a_run_that_waits_for_something_and_keeps_its_work(tmp_path: Path, what: str) -> None:
    hangs = LONG[what].fault == "stall"
    turns = [call("run", command="echo 1 2 > shares.txt"), LONG[what]]
    with World(tmp_path, turns=turns, files=FILES, more_config="[policy]\nmax_rounds = 1\n") as world:
        world.start()
        world.label()
        until(lambda: world.model.stalled if hangs else world.answers() == 2, what="the run to wait")

        begin = time.monotonic()
        comment = world.comment("/coder stop")
        world.finish()
        logger.info("stopped after %.1f s", time.monotonic() - begin)

        assert results(world) == ["stopped"]
        # It did not wait for either: the one still hangs, and the other has no result but that it was broken off.
        assert len(world.model.stalled) == hangs
        assert [
            e.output.content for e in world.events() if isinstance(e, ToolFinished) and "9" in e.output.content
        ] == []
        until(lambda: not containers(world), what="the container to go")
        assert ("coder-bot", "eyes") in comment.reactions
        assert (world.pulls(), world.branches()) == ([], [])
        assert any("stopped" in c.body for c in world.comments())

        until(lambda: not busy(world), what="the jobs to end")
        # Its work is there, and what still hangs takes nothing from it.
        looks = call("run", command="sleep 4; cat shares.txt")
        turns[1:] = [*([] if hangs else turns[1:]), looks, handed_in("Two"), handed_in("Two")]
        world.comment("/coder continue")
        world.finish(times=2)

        assert git("show", f"{world.pulls()[0].head}:shares.txt", cwd=world.repo.folder) == b"1 2\n"


def busy(world: World) -> list[str]:
    return [j["id"] for j in world.web.get("/runs").json()["runs"] if j["state"] in {"queued", "running"}]


def containers(world: World) -> list[str]:
    client = docker.from_env()
    try:
        found = client.containers.list(filters={"label": f"coder.installation={world.installation}"})
        return [str(one.id) for one in found]
    finally:
        client.close()
