"""The commands beside `run`, in this process."""

import json
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from coder import __version__
from coder.cli import cli, main
from coder.errors import ConfigError, InputError, JournalError
from coder.settings import load
from coder.trace.events import Answered, RunStarted, Solved, Told, ToolFinished
from coder.trace.journal import JournalStore
from coder.types import Completion, Message, Outcome, RepoRef, Task, ToolCall, ToolOutput, Usage
from tests.contract.sandbox_support import git

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    return tmp_path / "coder"


@pytest.fixture
def journal(state: Path) -> str:
    store = JournalStore(state / "journal.sqlite")
    journal = store.open("run-1")
    task = Task(
        run_id="run-1",
        repo=RepoRef(owner="o", name="n"),
        kind="prompt",
        prompt="x",
        requested_by="ann",
        requested_at="2026-01-01T00:00:00Z",
        model="m",
    )
    call = ToolCall(id="c", name="run", arguments='{"command": "ls"}')
    message = Message(role="assistant", reasoning_content="let me see\x1b[2J", tool_calls=(call,))
    completion = Completion(message=message, finish_reason="tool_calls", usage=Usage(), cost_usd=0.1, model="m")
    journal.append(RunStarted(task=task, version="1"))
    journal.append(Answered(step=1, completion=completion))
    journal.append(ToolFinished(step=1, call_id="c", name="run", output=ToolOutput(content="a.txt"), duration_s=0.1))
    journal.append(Told(step=1, reason="stuck", message=Message(role="user", content="do something else")))
    journal.append(Solved(outcome=Outcome(kind="stuck", reason="round and round")))
    store.close()
    return "run-1"


def coder(*args: str) -> Result:
    return CliRunner().invoke(cli, list(args), catch_exceptions=True)


def test_runs_are_listed_and_shown(journal: str) -> None:
    assert coder("trace").output.startswith("run-1  ")
    short, full = coder("trace", journal).output, coder("trace", journal, "--full").output

    assert "answered step 1: run ls" in short
    assert "solved stuck" in short
    assert "let me see" in full
    assert "do something else" in full
    assert "\x1b" not in full


def test_the_journal_itself_is_printed_for_export(journal: str) -> None:
    lines = [json.loads(line) for line in coder("trace", journal, "--jsonl").output.splitlines()]

    assert [line["seq"] for line in lines] == [0, 1, 2, 3, 4]
    assert lines[1]["prev"] == lines[0]["hash"]


def test_a_bundle_is_written_and_read_like_the_run_itself(journal: str, state: Path, tmp_path: Path) -> None:
    written = coder("export", journal, str(tmp_path / "run.zip"))

    digest = written.output.split("journal digest ")[1].split()[0]
    shown = coder("trace", journal).output
    (state / "journal.sqlite").unlink()
    assert coder("trace", str(tmp_path / "run.zip")).output == shown
    assert json.loads(coder("trace", str(tmp_path / "run.zip"), "--jsonl").output.splitlines()[-1])["hash"] == digest
    assert isinstance(coder("replay", str(tmp_path / "run.zip")).exception, InputError)  # it never read a problem
    assert isinstance(coder("export", "nope", str(tmp_path / "x.zip")).exception, InputError)
    assert isinstance(coder("export", journal, str(tmp_path / "no" / "x.zip")).exception, InputError)


def test_a_tampered_journal_is_refused_with_its_line(journal: str, state: Path) -> None:
    store = JournalStore(state / "journal.sqlite")
    store._db.execute("UPDATE journal SET event = replace(event, 'a.txt', 'b.txt') WHERE seq = 2")
    store.close()

    result = coder("trace", journal)

    assert isinstance(result.exception, JournalError)
    assert "line 2" in str(result.exception)


def test_an_unknown_run_is_an_error(state: Path) -> None:
    assert isinstance(coder("trace", "nope").exception, InputError)
    assert isinstance(coder("replay", "nope").exception, InputError)


def test_models_are_listed_with_what_they_need(state: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MOONSHOT_API_KEY", "a-key-of-moonshot")

    lines = {line.split()[0]: line for line in coder("models").output.splitlines()}

    assert lines["kimi-k2.6"].endswith("key set")
    assert "needs COMETAPI_KEY" in lines["kimi-k2-thinking"]
    assert lines["kimi-k2-thinking-moonshot"].endswith("retired")
    assert lines["kimi-k2-thinking-vllm"].endswith("needs no key")


def test_settings_are_shown_and_secrets_are_not(state: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CODER_SERVICE__WEBHOOK_SECRET", "secret-of-the-hook")

    shown = coder("config").output

    assert "CODER_LIMITS__MAX_COST_USD=5.0" in shown
    assert "CODER_SERVICE__WEBHOOK_SECRET=**" in shown
    assert "secret-of-the-hook" not in shown


def test_a_map_of_a_checkout(state: Path, tmp_path: Path) -> None:
    folder = tmp_path / "checkout"
    folder.mkdir()
    git(folder, "init", "--quiet", "--initial-branch=main")
    (folder / "money.py").write_text("def split(total, weights):\n    return []\n")
    git(folder, "add", "--all")
    git(folder, "commit", "--quiet", "-m", "x")
    (folder / "issue.md").write_text("split loses a cent")

    assert "def split" in coder("map", str(folder), "--focus", "split money").output
    assert "def split" in coder("map", str(folder), "--issue-file", str(folder / "issue.md")).output
    assert coder("map", str(folder)).output.strip()
    assert isinstance(coder("map", str(folder), "--issue-file", "/nope").exception, InputError)


def test_the_version_and_wrong_usage(state: Path) -> None:
    assert coder("--version").output == f"coder {__version__}\n"
    assert coder("bogus").exit_code == 2
    assert coder().exit_code in {0, 2}  # the help


@pytest.mark.parametrize(
    ("args", "code"), [(["trace", "nope"], InputError), (["models", "--config", "/nope"], ConfigError)]
)
def test_the_program_turns_errors_into_one_line_and_a_code(
    args: list[str],
    code: type[InputError],
    state: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(sys, "argv", ["coder", *args])

    with pytest.raises(SystemExit) as ended:
        main()

    assert ended.value.code == code.exit_code
    assert capsys.readouterr().err.startswith("coder: ")


def test_limits_of_the_command_line_are_checked(state: Path) -> None:
    result = coder("run", "--prompt", "x", "--max-cost", "-1")

    assert isinstance(result.exception, InputError)
    assert "max_cost_usd" in str(result.exception)


def test_the_state_folder_is_not_in_the_checkout(state: Path) -> None:
    assert not str(load().state_dir).startswith(str(ROOT))
