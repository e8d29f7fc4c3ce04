"""`coder run` in a checkout, with the recorded answers of the demo and without a container."""

import json
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from coder.app import Application
from coder.errors import CoderError, InputError, ModelError
from coder.forge.config import GitHubSettings
from coder.local_run import RunCommand, execute
from coder.replay import replay
from coder.settings import ModelSettings, Settings
from coder.trace.events import Answered, Verified
from tests.contract.sandbox_support import git
from tests.servers.github import GitHubServer

ROOT = Path(__file__).resolve().parents[2]
DEMO = ROOT / "demo"


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    folder = tmp_path / "bills"
    shutil.copytree(DEMO / "repository", folder, ignore=shutil.ignore_patterns("__pycache__"))
    git(folder, "init", "--quiet", "--initial-branch=main")
    git(folder, "add", "--all")
    git(folder, "commit", "--quiet", "-m", "Split bills")
    return folder


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(state_dir=tmp_path / "state", model=ModelSettings(profile="kimi-k2-thinking-vllm"))


@pytest.fixture
def command(checkout: Path) -> RunCommand:
    return RunCommand(
        issue="",
        issue_file=DEMO / "issue.md",
        prompt="",
        repo=checkout,
        apply=False,
        dry_run=None,
        pull_request=False,
        resume="",
        recorded=DEMO / "answers.json",
        allow_dirty=False,
        unsafe=True,
    )


def branches(checkout: Path) -> list[str]:
    return git(checkout, "for-each-ref", "--format=%(refname:short)", "refs/heads").decode().split()


def untouched(checkout: Path) -> bool:
    return git(checkout, "status", "--porcelain") == b"" and not (checkout / ".coder").exists()


def test_it_ends_with_a_branch_a_verdict_and_untouched_files(
    command: RunCommand, settings: Settings, checkout: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    result = execute(command, settings)

    shown = capsys.readouterr().out
    assert result.verdict.kind == "proven"
    assert result.pull_request is not None
    assert branches(checkout) == [result.pull_request.branch, "main"]
    assert untouched(checkout)
    assert b"shares[i] += 1" in git(checkout, "show", f"{result.pull_request.branch}:bills/money.py")
    assert "RECORDED" in shown
    assert "verdict: proven" in shown
    assert "1 passed" not in git(checkout, "diff", "--stat", "main", result.pull_request.branch).decode()


def test_hooks_of_the_checkout_do_not_run(
    command: RunCommand, settings: Settings, checkout: Path, tmp_path: Path
) -> None:
    for hook in ("reference-transaction", "pre-receive", "update", "post-receive", "post-checkout"):
        path = checkout / ".git" / "hooks" / hook
        path.write_text(f"#!/bin/sh\necho {hook} >> {tmp_path}/hooked\n")
        path.chmod(0o755)

    execute(command, settings)

    assert not (tmp_path / "hooked").exists()


def test_with_apply_the_change_is_in_the_working_files_too(
    command: RunCommand, settings: Settings, checkout: Path
) -> None:
    execute(replace(command, apply=True), settings)

    assert "shares[i] += 1" in (checkout / "bills" / "money.py").read_text()
    assert branches(checkout)[0].startswith("coder/")


def test_a_dry_run_writes_the_pull_request_and_makes_no_branch(
    command: RunCommand, settings: Settings, checkout: Path, tmp_path: Path
) -> None:
    execute(replace(command, dry_run=tmp_path / "out"), settings)

    assert branches(checkout) == ["main"]
    assert (tmp_path / "out" / "title.txt").read_text() == "Make shares add up to the bill\n"
    assert "## Proof" in (tmp_path / "out" / "body.md").read_text()
    assert "recorded model run" in (tmp_path / "out" / "body.md").read_text()
    git(checkout, "apply", "--check", str(tmp_path / "out" / "change.patch"))


def test_an_interrupted_run_goes_on_where_it_was(
    command: RunCommand, settings: Settings, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    answers = json.loads((DEMO / "answers.json").read_text())
    (tmp_path / "some.json").write_text(json.dumps(answers[:3]))
    with pytest.raises(ModelError, match="ends after"):
        execute(replace(command, recorded=tmp_path / "some.json"), settings)
    with Application(settings) as app:
        run_id = app.journals.runs()[0].run_id
    assert f"to go on: coder run --resume {run_id}" in capsys.readouterr().out
    elsewhere = tmp_path / "elsewhere"
    git(tmp_path, "init", "--quiet", str(elsewhere))
    git(elsewhere, "commit", "--quiet", "--allow-empty", "-m", "Nothing")
    with pytest.raises(InputError, match="name the checkout of bills with --repo"):
        execute(replace(command, resume=run_id, issue_file=None, repo=elsewhere), settings)

    result = execute(replace(command, resume=run_id, issue_file=None), settings)

    assert result.run_id == run_id
    assert result.verdict.kind == "proven"
    assert result.spent.steps == len(answers)


def test_a_run_replays_to_the_same_tree_and_a_changed_one_is_refused(command: RunCommand, settings: Settings) -> None:
    result = execute(command, settings)

    with Application(settings) as app:
        outcome = replay(app, result.run_id, progress=lambda _: None, unsafe_local=True)
        with pytest.raises(InputError, match="no run"):
            replay(app, "nope", progress=lambda _: None)

    assert outcome.same
    assert outcome.answers == 7


def test_work_that_breaks_the_tests_is_sent_back_never_published_and_kept_aside(
    command: RunCommand, settings: Settings, checkout: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def answer(name: str, **arguments: object) -> dict[str, object]:
        call = {"id": "c", "name": name, "arguments": json.dumps(arguments)}
        message = {"role": "assistant", "tool_calls": [call]}
        return {"message": message, "finish_reason": "tool_calls", "usage": {}, "cost_usd": 0, "model": "m"}

    submit = answer("submit", title="t", summary="s", confirm=True)
    broken = answer("edit", path="bills/money.py", edits=[{"old": "total * weight // whole", "new": "0"}])
    (tmp_path / "broken.json").write_text(json.dumps([broken, submit, submit, submit]))

    result = execute(replace(command, recorded=tmp_path / "broken.json"), settings)

    with Application(settings) as app:
        events = app.journals.open(result.run_id).events
    assert [e.verdict.kind for e in events if isinstance(e, Verified)] == ["regressed"] * 2
    assert result.pull_request is None
    assert branches(checkout) == [result.kept, "main"]
    assert "-wip-" in result.kept
    assert b"Coder-verdict: regressed" in git(checkout, "log", "-1", "--format=%B", result.kept)
    assert f"the work so far is on branch {result.kept}" in capsys.readouterr().out
    assert len([e for e in events if isinstance(e, Answered)]) == 4


def test_an_issue_of_github_is_worked_on_in_the_checkout(
    command: RunCommand, settings: Settings, checkout: Path, tmp_path: Path
) -> None:
    (tmp_path / "github").mkdir()
    with GitHubServer(tmp_path / "github") as server:
        repo = server.add_repository("octo/bills", {"a": "b"})
        server.add_token("a-token-of-ann", "ann")
        server.add_user("ann", repo=repo, permission="write")
        issue = server.add_issue(repo, title="Shares do not add up", body="One cent is lost.", author="ann")
        given = {
            "api_url": server.url,
            "git_url": server.url,
            "http_hosts": [server.host],
            "token": "a-token-of-ann",
            "seconds_between_requests": 0,
        }
        github = GitHubSettings.model_validate(given)

        result = execute(
            replace(command, issue=f"octo/bills#{issue.number}", issue_file=None),
            settings.model_copy(update={"github": github}),
        )

        assert server.writes() == []
    assert result.pull_request is not None
    assert result.pull_request.branch.startswith(f"coder/issue-{issue.number}-")
    assert result.pull_request.branch in branches(checkout)


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"issue_file": None}, "say what to do"),
        ({"prompt": "and this"}, "say what to do"),
        ({"issue_file": None, "prompt": " \n"}, "the prompt is empty"),
        ({"issue_file": Path("/nope")}, "cannot read"),
        ({"issue_file": None, "issue": "nonsense"}, "does not name an issue"),
        ({"issue_file": None, "issue": "o/r#1"}, "token"),
        ({"repo": Path("/")}, "git"),
        ({"recorded": DEMO / "issue.md"}, "not a recording"),
        ({"resume": "nope"}, "no run 'nope'"),
    ],
)
def test_bad_input_is_one_clear_line(
    command: RunCommand, settings: Settings, changes: dict[str, object], says: str
) -> None:
    with pytest.raises(CoderError, match=says) as caught:
        execute(replace(command, **changes), settings)  # type: ignore[arg-type]  # fields by name

    assert "\n" not in str(caught.value)


def test_a_dirty_checkout_is_refused_unless_allowed(command: RunCommand, settings: Settings, checkout: Path) -> None:
    (checkout / "notes.txt").write_text("mine")

    with pytest.raises(InputError, match="uncommitted"):
        execute(command, settings)
    result = execute(replace(command, allow_dirty=True), settings)

    assert result.verdict.kind == "proven"
    assert (checkout / "notes.txt").read_text() == "mine"


def coder(*args: str, cwd: Path, home: Path) -> "subprocess.CompletedProcess[str]":
    env = {"PATH": "/usr/local/bin:/usr/bin:/bin", "HOME": str(home), "PYTHONPATH": str(ROOT)}
    return subprocess.run(
        [sys.executable, "-m", "coder", *args], cwd=cwd, env=env, capture_output=True, text=True, check=False
    )


def test_the_program_ends_with_the_verdicts_code_and_errors_with_their_own(checkout: Path, tmp_path: Path) -> None:
    recorded = ("--recorded", str(DEMO / "answers.json"), "--unsafe")
    good = coder("run", "--issue-file", str(DEMO / "issue.md"), "--attempts=2", *recorded, cwd=checkout, home=tmp_path)
    no_key = coder("run", "--prompt", "x", "--allow-dirty", cwd=checkout, home=tmp_path)
    no_model = coder("run", "--prompt", "x", "--model", "nope", cwd=checkout, home=tmp_path)
    no_git = coder("run", "--prompt", "x", cwd=Path("/"), home=tmp_path)
    runs = coder("trace", cwd=checkout, home=tmp_path)
    shown = coder("trace", runs.stdout.splitlines()[-1].split()[0], "--jsonl", cwd=checkout, home=tmp_path)
    mapped = coder("map", "--focus", "split a total in cents", cwd=checkout, home=tmp_path)

    assert good.returncode == 0, good.stderr
    assert [p.returncode for p in (no_key, no_model, no_git)] == [66, 64, 65]
    assert all(p.stderr.count("\n") == 1 and p.stderr.startswith("coder: ") for p in (no_key, no_model, no_git))
    events = [json.loads(json.loads(line)["event"]) for line in shown.stdout.splitlines()]
    assert events[0]["task"]["attempts"] == 2
    assert "proven" in {event["verdict"]["kind"] for event in events if event["type"] == "verified"}
    assert "def split" in mapped.stdout
