"""Every way to ask that is no label, through one `coder serve` on real parts; each case has an issue of its own.

GitHub loses its first answer to every kind of write, after it was done.
"""

import json
import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import docker
import pytest

from coder.forge.protocol import CHECK_NAME
from coder.sandbox.docker_pool import name_prefix
from coder.trace.events import Attributed, Continued
from coder.types import JsonObject, RunResult
from tests.e2e.world import World, until
from tests.servers.github import Fault
from tests.servers.github_git import git
from tests.servers.github_state import CheckRun, Issue, Pull
from tests.servers.model_turns import Turn

pytestmark = pytest.mark.docker

API_TOKEN = "a-token-of-the-api"
FILES: dict[str, str | bytes] = {
    "shares.txt": "1 1 1\n",
    "check.sh": "grep -q 1 shares.txt\n",
    "shares.py": "print(open('shares.txt').read())\n",
    ".coder.yml": "test: sh check.sh\n",
}


def call(name: str, **arguments: object) -> Turn:
    return Turn(calls=({"name": name, "arguments": json.dumps(arguments)},))


def writes(text: str) -> Turn:
    return call("run", command=f"printf '{text}\\n' > shares.txt")


def hands_in(title: str) -> list[Turn]:
    given = {"title": title, "summary": "As asked.", "rationale": [], "expected_failure": "none"}
    return [call("submit", **given), call("submit", **given, confirm=True)]


SCRIPTS = {
    "rest": [writes("1 2"), *hands_in("Two"), writes("1 3"), *hands_in("Three"), writes("1 4"), *hands_in("Four")],
    "dispatch": [writes("1 5"), *hands_in("Five")],
    "clock": [writes("1 6"), *hands_in("Six")],
    "plan": [hands_in("Six or seven")[0], hands_in("Seven")[0], writes("1 7"), *hands_in("Seven")],
    "question": [call("ask", question="Eight or nine?"), writes("1 8"), *hands_in("Eight")],
    "steered": [call("run", command="until test -e /tmp/on; do sleep 0.1; done", timeout_s=8), *hands_in("Ten")],
    "swept": [writes("1 12"), *hands_in("Twelve")],
    "dear": [writes("1 11"), Turn(fault="status", status=400, error="no"), *hands_in("Eleven")],
}


def turns(messages: str) -> list[Turn]:
    """What the model says in the conversation about a case."""
    found = re.search(r"case-([a-z]+)", messages)
    return SCRIPTS[found[1]] if found else []


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    # A minute that was just now: asked for once, at the start.
    minute = datetime.now(UTC)
    more = f"""
            api_token = "{API_TOKEN}"
            ceiling_cost_usd = 20.0
            [[service.schedule]]
            cron = "{minute.minute} {minute.hour} * * *"
            repo = "octo/bills"
            title = "case-clock"
            prompt = "Mend what breaks."
            requested_by = "ann"
            [policy]
            max_rounds = 1
    """
    with World(tmp_path_factory.mktemp("live"), turns=turns, files=FILES, more_config=more) as world:
        lost = opened(world, "swept")
        lost.labels.append("coder")
        lost.updated_at = (minute - timedelta(minutes=5)).strftime("%Y-%m-%dT%H:%M:%SZ")
        world.github.faults.append(Fault("drop_after", "POST|PATCH|PUT|DELETE", r"^(?!.*git-upload-pack)", each=True))
        world.start()
        yield world


def opened(world: World, case: str) -> Issue:
    return world.github.add_issue(world.repo, title=f"case-{case}", body="The shares are wrong.", author="ann")


def shares(world: World, result: RunResult) -> str:
    assert result.pull_request is not None, result
    return git("show", f"{result.pull_request.branch}:shares.txt", cwd=world.repo.folder).decode()


def pull_of(world: World, result: RunResult) -> Pull:
    assert result.pull_request is not None, result
    return world.repo.pulls[result.pull_request.number or 0]


def said_once(issue: Issue) -> bool:
    """Whether there is the one status comment, and one state."""
    states = [label for label in issue.labels if label.startswith("coder")]
    return len([one for one in issue.comments if one.user.login == "coder-bot"]) == 1 and len(states) == 1


def state_of(world: World, run: str) -> str:
    shown = world.web.get(f"/api/v1/runs/{run}", headers={"authorization": f"Bearer {API_TOKEN}"})
    return str(shown.json()["state"])


def containers(run: str) -> list[str]:
    client = docker.from_env()
    try:
        return [str(one.id) for one in client.containers.list(filters={"name": name_prefix(run)})]
    finally:
        client.close()


def heard(world: World, run: str) -> list[str]:
    return [e.followup.kind for e in world.events(run) if isinstance(e, Continued)]


def test_a_program_asks_a_review_wants_more_and_a_red_check_is_mended(world: World) -> None:
    issue = opened(world, "rest")
    headers = {"authorization": f"Bearer {API_TOKEN}", "idempotency-key": "k-1"}
    body = {"repo": "octo/bills", "issue": issue.number, "requested_by": "ann"}
    answers = [world.web.post("/api/v1/runs", json=body, headers=headers) for _ in range(2)]
    run = str(answers[0].json()["run"])
    first = world.finish(run_id=run)
    pull = pull_of(world, first)

    remarks = [("shares.txt", "three"), ("shares.txt", "not two"), ("check.sh", "and why?")]
    for name, payload in world.github.reviewed(world.repo, pull, author="ann", body="Almost", remarks=remarks):
        world.event(name, payload)
    second = world.finish(times=2, run_id=run)
    then = shares(world, second)

    red = world.github.commit(world.repo, {"shares.txt": "7\n"}, branch=pull.head)
    world.repo.checks.append(CheckRun(9_002, "tests", red, "github-actions", "completed", "failure"))
    world.repo.logs[9_002] = b"##[group]Run sh check.sh\n##[error]Process completed with exit code 1.\n"
    side = {"repo": {"id": world.repo.id}}
    check: JsonObject = {"name": "tests", "head_sha": red, "conclusion": "failure", "app": {"slug": "github-actions"}}
    check |= {"pull_requests": [{"number": pull.number, "head": side, "base": side}]}
    for _ in range(2):
        world.event("check_run", {"action": "completed", "check_run": check}, by="github-actions[bot]")
    third = world.finish(times=3, run_id=run)

    assert [answer.json() for answer in answers] == [{"run": run}] * 2
    assert (then, shares(world, third)) == ("1 3\n", "1 4\n")
    assert heard(world, run) == ["review", "check_failure"]
    assert [one.in_reply_to for one in pull.review_comments if one.in_reply_to] == [
        one.id for one in pull.review_comments[:3]
    ]
    assert [e.kind for e in world.events(run) if isinstance(e, Attributed)] == ["caused"]
    assert len([one for one in world.pulls() if one.head == pull.head]) == 1
    assert said_once(issue)
    assert len({one.sha for one in world.repo.statuses if one.context == CHECK_NAME}) >= 3


def test_a_program_and_the_clock_ask_without_an_issue(world: World) -> None:
    given = {"title": "case-dispatch", "prompt": "The shares are wrong."}
    answers = [world.event("repository_dispatch", {"action": "coder", "client_payload": given}) for _ in range(2)]
    asked = world.finish(run_id=str(answers[0]["run"]))
    until(lambda: clock_run(world), what="the clock's run")
    due = world.finish(run_id=clock_run(world))

    assert answers[0] == answers[1]
    assert (shares(world, asked), shares(world, due)) == ("1 5\n", "1 6\n")


def test_a_label_whose_webhook_was_lost_is_found(world: World) -> None:
    (issue,) = (one for one in world.repo.issues.values() if one.title == "case-swept")
    until(lambda: clock_run(world, "sweep"), what="the sweep")

    done = world.finish(run_id=clock_run(world, "sweep"))

    assert shares(world, done) == "1 12\n"
    assert said_once(issue)
    assert ("coder-bot", "eyes") in issue.reactions


def clock_run(world: World, source: str = "schedule") -> str:
    found = world.web.get("/runs", headers={"authorization": f"Bearer {API_TOKEN}"}).json()["deliveries"]
    return next((str(one["run_id"]) for one in found if one["event"] == source), "")


def test_a_plan_is_revised_and_approved(world: World) -> None:
    issue = opened(world, "plan")
    run = str(world.label(label="coder:plan", on=issue).json()["run"])
    plan = world.finish(run_id=run)

    world.comment("/coder revise seven", on=issue)
    better = world.finish(times=2, run_id=run)
    world.comment("@coder approve", on=issue)
    done = world.finish(times=3, run_id=run)

    assert [one.outcome.kind for one in (plan, better, done)] == ["asked", "asked", "submitted"]
    assert heard(world, run) == ["revise", "approve"]
    assert said_once(issue)
    assert shares(world, done) == "1 7\n"


def test_a_question_waits_for_an_answer(world: World) -> None:
    issue = opened(world, "question")
    run = str(world.label(on=issue).json()["run"])
    world.finish(run_id=run)
    until(lambda: state_of(world, run) == "done", what="the job's end")
    waits = "coder:needs-info" in issue.labels
    until(lambda: not containers(run), what="the container to be freed")

    stranger = world.comment("@coder nine", on=issue, by="stranger")
    until(lambda: state_of(world, f"{run}.comment-{stranger.id}") == "done", what="the stranger's refusal")
    world.comment("@coder eight", on=issue)
    world.kill()
    world.start()
    done = world.finish(times=2, run_id=run)

    assert waits
    assert heard(world, run) == ["answer"]
    assert shares(world, done) == "1 8\n"
    assert "coder:needs-info" not in issue.labels


def test_words_reach_a_run_at_work_whatever_becomes_of_its_worker_and_of_the_comments(world: World) -> None:
    issue = opened(world, "steered")
    run = str(world.label(on=issue).json()["run"])
    until(lambda: world.happened("answered", run_id=run), what="the first answer")

    words = ("whole cents", "no floats", "short names")
    with ThreadPoolExecutor(len(words)) as together:
        comments = list(together.map(lambda word: world.comment(f"@coder use {word}", on=issue), words))
    world.kill()
    comments[1].body = "@coder use something else"  # what counts is what was said to us
    issue.comments.remove(comments[2])
    world.start()
    world.finish(run_id=run)
    until(
        lambda: [state_of(world, f"{run}.comment-{one.id}") for one in comments] == ["done"] * 3, what="the words' jobs"
    )

    said = [json.dumps(r.messages) for r in world.model.requests if "case-steered" in json.dumps(r.messages)]
    assert [said[0].count(word) for word in words] == [0, 0, 0]
    assert [said[-1].count(word) for word in words] == [1, 1, 1]
    assert "something else" not in said[-1]


def test_a_run_that_broke_off_is_told_of_and_continued(world: World) -> None:
    issue = opened(world, "dear")
    run = str(world.label(on=issue).json()["run"])
    until(lambda: "coder:failed" in issue.labels, what="the label")
    told = [one.body for one in issue.comments]
    SCRIPTS["dear"] = [SCRIPTS["dear"][0], *hands_in("Eleven")]

    world.comment("/coder continue +$3", on=issue)
    done = world.finish(run_id=run)

    assert told[0].startswith("**Stopped**")
    assert shares(world, done) == "1 11\n"
    assert heard(world, run) == ["continue"]
    assert said_once(issue)
