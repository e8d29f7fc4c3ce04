"""A reviewer in the line: asked once a round, heard by the author, paid within the limits, and no proof of anything."""

import json
from collections.abc import Sequence

from coder.model.scripted import ScriptedModel
from coder.policy import Policy
from coder.run import resolve
from coder.sandbox.local import LocalSandboxProvider
from coder.services import Services
from coder.trace.events import Published, Reviewed, Told
from coder.types import Message, RepoRef, RunResult, Task, ToolCall
from coder.workspace.workspace import Workspace
from tests.contract.sandbox_support import settings
from tests.integration.test_run import FIX, PROFILE, SUBMIT, TEST, Line, does
from tests.integration.test_run import line as line  # the fixture

WORK = [does("edit", path="bills/money.py", edits=[FIX]), does("edit", path="tests/test_money.py", edits=[TEST])]


def says(*remarks: tuple[str, str]) -> Message:
    listed = [{"path": "bills/money.py", "line": 3, "severity": kind, "what": what} for kind, what in remarks]
    arguments = json.dumps({"summary": "Looked at all of it.", "remarks": listed})
    return Message(role="assistant", tool_calls=(ToolCall(id="r", name="review", arguments=arguments),))


def run(line: Line, turns: Sequence[Message], reviewer: ScriptedModel, rounds: int = 2) -> RunResult:
    task = Task(
        run_id="run-1",
        repo=RepoRef(owner="octo", name="bills"),
        kind="issue",
        number=1,
        requested_by="ann",
        requested_at="2026-01-02T00:00:00Z",
        model="scripted",
    )
    author = ScriptedModel(PROFILE, turns)
    services = Services(
        forge=line.forge,
        model=lambda name: reviewer if name == "other" else author,
        sandboxes=LocalSandboxProvider(settings(), env={"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}),
        workspace=Workspace(line.folder / "mirrors"),
        codemap=line.codemap,
        journals=line.journals,
        policy=Policy(reviewer="other", max_rounds=rounds),
        redact=str,
        redact_fully=str,
    )
    return resolve(task, services)


def test_an_objection_goes_back_and_what_stays_of_it_keeps_the_pull_request_a_draft(line: Line) -> None:
    stubborn = says(("must_fix", "negative totals @octo #7"), ("note", "naming"))
    reviewer = ScriptedModel(PROFILE, [stubborn, stubborn])

    result = run(line, [*WORK, *SUBMIT, *SUBMIT], reviewer)

    events = line.journals.open("run-1").events
    assert result.verdict.kind == "proven"
    assert len(reviewer.requests) == len([e for e in events if isinstance(e, Reviewed)]) == 2
    told = [e.message.content or "" for e in events if isinstance(e, Told) and e.reason == "objection"]
    assert len(told) == 1
    assert "bills/money.py:3: negative totals @octo" in told[0]
    assert result.pull_request is not None
    assert result.pull_request.draft
    body = next(iter(line.forge.proposals.values())).body
    assert "negative totals" in body
    assert "@octo" not in body
    assert result.spent.steps == 6


def test_praise_changes_nothing_and_a_continued_run_does_not_ask_again(line: Line) -> None:
    reviewer = ScriptedModel(PROFILE, [says()])
    line.forge.failure = None
    result = run(line, [*WORK, *SUBMIT], reviewer)
    again = run(line, [], ScriptedModel(PROFILE, []))

    assert result == again
    assert result.verdict.kind == "proven"
    assert result.pull_request is not None
    assert not result.pull_request.draft
    assert isinstance(next(e for e in line.journals.open("run-1").events if isinstance(e, Published)), Published)
