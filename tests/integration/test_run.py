"""The line itself, with a forge in memory, recorded answers and no container: what happens at its edges."""

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from typing_extensions import override

from coder.codemap.map import CodeMap
from coder.errors import ForgeError, PermissionDeniedError
from coder.forge.memory import InMemoryForge, MemoryIssue
from coder.model.scripted import ScriptedModel
from coder.policy import Policy
from coder.run import resolve
from coder.sandbox.local import LocalSandboxProvider
from coder.services import Services
from coder.trace.events import Answered, Verified
from coder.trace.journal import JournalStore
from coder.types import Completion, Limits, Message, Remote, RepoRef, RunResult, Task, ToolCall
from coder.workspace.workspace import Workspace
from tests.contract.sandbox_support import git, settings
from tests.values import scripted_profile

DEMO = Path(__file__).parents[2] / "demo"
PROFILE = scripted_profile()


class Forge(InMemoryForge):
    """May fail at what is only said, and may change its mind about people."""

    mute = False
    revoked_after: int | None = None
    asked = 0

    @override
    def status(self, task: Task, body: str) -> None:
        if self.mute:
            raise ForgeError("cannot edit the comment: the conversation is locked")
        super().status(task, body)

    @override
    def may_write(self, task: Task) -> bool:
        self.asked += 1
        if self.revoked_after is not None and self.asked > self.revoked_after:
            return False
        return super().may_write(task)


@dataclass
class Line:
    """A repository with an issue, and everything that a run needs."""

    folder: Path
    forge: Forge
    journals: JournalStore
    codemap: CodeMap
    policy: Policy = field(default_factory=Policy)

    def run(
        self, turns: Sequence[Message | Completion], *, asked_by: str = "ann", limits: Limits | None = None
    ) -> RunResult:
        task = Task(
            run_id="run-1",
            repo=RepoRef(owner="octo", name="bills"),
            kind="issue",
            number=1,
            requested_by=asked_by,
            requested_at="2026-01-02T00:00:00Z",
            model="scripted",
            limits=limits or Limits(),
        )
        model = ScriptedModel(PROFILE, turns)
        services = Services(
            forge=self.forge,
            model=lambda _: model,
            sandboxes=LocalSandboxProvider(settings(), env={"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}),
            workspace=Workspace(self.folder / "mirrors"),
            codemap=self.codemap,
            journals=self.journals,
            policy=self.policy,
            redact=str,
            redact_fully=str,
        )
        return resolve(task, services)

    def branches(self) -> list[str]:
        shown = git(self.folder / "bills", "for-each-ref", "--format=%(refname:short)", "refs/heads")
        return [name for name in shown.decode().split() if name != "main"]


@pytest.fixture
def line(tmp_path: Path) -> Iterator[Line]:
    folder = tmp_path / "bills"
    for path in (DEMO / "repository").rglob("*"):
        if path.suffix in {".py", ".md"}:
            target = folder / path.relative_to(DEMO / "repository")
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(path.read_bytes())
    git(folder, "init", "--quiet", "--initial-branch=main")
    git(folder, "add", "--all")
    git(folder, "commit", "--quiet", "-m", "Split bills")
    head = git(folder, "rev-parse", "HEAD").decode().strip()
    issue = MemoryIssue(number=1, title="Shares do not add up", body="A cent is lost.", author="ann")
    forge = Forge(
        issues=(issue,),
        writers=frozenset({"ann"}),
        branches={"main": head},
        remote=Remote(url=str(folder), local=True),
    )
    journals = JournalStore(tmp_path / "journal.sqlite")
    with CodeMap(tmp_path / "codemap.sqlite") as codemap:
        yield Line(tmp_path, forge, journals, codemap)
    journals.close()


def recorded() -> list[Completion]:
    return [Completion.model_validate(one) for one in json.loads((DEMO / "answers.json").read_text())]


def does(name: str, **arguments: object) -> Message:
    call = ToolCall(id="c", name=name, arguments=json.dumps(arguments))
    return Message(role="assistant", tool_calls=(call,))


SUBMIT = (
    does("submit", title="Split right", summary="Because."),
    does("submit", title="Split right", summary="Because.", confirm=True),
)
FIX = {
    "old": "    return [total * weight // whole for weight in weights]\n",
    "new": "    shares = [total * weight // whole for weight in weights]\n    shares[0] += total - sum(shares)\n    return shares\n",
}
TEST = {
    "old": "\n\ndef test_weights_count():",
    "new": "\n\ndef test_sum():\n    assert sum(split(100, [1, 1, 1])) == 100\n\n\ndef test_weights_count():",
}


def test_an_issue_becomes_a_pull_request_and_everybody_is_told(line: Line) -> None:
    result = line.run(recorded())

    assert result.verdict.kind == "proven"
    assert line.branches() == [result.pull_request.branch if result.pull_request else ""]
    assert line.forge.issues[1].reactions == {"eyes", "hooray"}
    assert "Fixes #1" in next(iter(line.forge.proposals.values())).body
    assert line.run([]) == result  # a finished run gives its result again


def test_a_comment_that_cannot_be_written_ends_no_run(line: Line) -> None:
    line.forge.mute = True

    assert line.run(recorded()).verdict.kind == "proven"


def test_a_stranger_is_refused_before_anything_is_read_or_said(line: Line) -> None:
    result = line.run(recorded(), asked_by="mallory")

    assert result.verdict.kind == "refused"
    assert line.forge.statuses == {}
    assert line.forge.issues[1].reactions == set()
    assert result.spent.steps == 0


def test_permission_lost_on_the_way_means_that_nothing_is_pushed(line: Line) -> None:
    line.forge.revoked_after = 1

    with pytest.raises(PermissionDeniedError, match="lost write permission"):
        line.run(recorded())

    assert line.branches() == []
    assert line.forge.pull_requests == []


def test_at_a_limit_the_work_is_tested_and_handed_out_as_a_draft_at_most(line: Line) -> None:
    turns = [does("edit", path="bills/money.py", edits=[FIX]), *[does("run", command=f"echo {n}") for n in range(9)]]

    result = line.run(turns, limits=Limits(max_steps=3))

    assert (result.outcome.kind, result.verdict.kind) == ("limit", "passing")
    assert result.pull_request is not None
    assert result.pull_request.draft
    assert "limit of 3 steps" in next(iter(line.forge.proposals.values())).body


def test_the_best_round_is_published_when_the_next_one_is_worse(line: Line) -> None:
    worse = does("edit", path="bills/money.py", edits=[{"old": "shares[0] += total", "new": "shares[0] += 1 + total"}])
    turns = [does("edit", path="bills/money.py", edits=[FIX]), *SUBMIT, worse, *SUBMIT, *SUBMIT]

    result = line.run(turns)

    kinds = [e.verdict.kind for e in line.journals.open("run-1").events if isinstance(e, Verified)]
    assert kinds == ["passing", "regressed", "regressed"]
    assert result.verdict.kind == "passing"
    published = git(line.folder / "bills", "show", f"{line.branches()[0]}:bills/money.py")
    assert b"shares[0] += total" in published


def test_objections_go_back_into_the_conversation_and_help(line: Line) -> None:
    turns = [
        does("edit", path="bills/money.py", edits=[FIX]),
        *SUBMIT,
        does("edit", path="tests/test_money.py", edits=[TEST]),
        *SUBMIT,
    ]

    result = line.run(turns)

    assert result.verdict.kind == "proven"
    assert result.spent.steps == 6


def test_a_change_handed_in_again_as_it_is_is_not_objected_to_again(line: Line) -> None:
    result = line.run([does("edit", path="bills/money.py", edits=[FIX]), *SUBMIT, *SUBMIT])

    kinds = [e.verdict.kind for e in line.journals.open("run-1").events if isinstance(e, Verified)]
    assert kinds == ["passing", "passing"]
    assert result.verdict.kind == "passing"
    assert result.spent.steps == 5


def test_a_protected_file_is_kept_and_makes_it_a_draft(line: Line) -> None:
    workflow = does("edit", path=".github/workflows/ci.yml", content="on: push\n")

    result = line.run([workflow, *recorded(), *SUBMIT, *SUBMIT])

    assert result.verdict.kind in {"proven", "passing"}
    assert result.pull_request is not None
    assert result.pull_request.draft
    assert ".github/workflows/ci.yml" in next(iter(line.forge.proposals.values())).body


@pytest.mark.parametrize(
    "command",
    [
        "ln -s /etc/passwd secrets",
        "ln -s ../../../etc/passwd secrets",
        "git init -q inner && cd inner && git -c user.name=a -c user.email=a@b commit -q --allow-empty -m x",
        "mkdir -p 'a/.GIT' && echo x > 'a/.GIT/config'",
    ],
)
def test_what_may_not_leave_is_refused_and_told_to_the_model(line: Line, command: str) -> None:
    seen: list[str] = []

    def last(messages: Sequence[Message]) -> Message:
        seen.append(messages[-1].content or "")
        return SUBMIT[1]

    turns: list[Message | Completion | Callable[[Sequence[Message]], Message]] = [
        does("run", command=command),
        *SUBMIT,
        last,
        last,
    ]
    result = line.run(turns)  # type: ignore[arg-type]  # a turn may be a function

    assert result.verdict.kind in {"refused", "no_change"}
    assert result.pull_request is None
    assert line.branches() == []


def test_an_empty_change_with_a_reason_is_an_answer(line: Line) -> None:
    result = line.run(SUBMIT)

    assert result.verdict.kind == "no_change"
    assert "Because." in " ".join(result.verdict.reasons)
    assert len([e for e in line.journals.open("run-1").events if isinstance(e, Answered)]) == 2
