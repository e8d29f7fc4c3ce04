"""A run heeds `.coder.yml` of the base commit, and a setup that failed ends it unless the operator says otherwise."""

from collections.abc import Callable, Mapping, Sequence

import pytest
from typing_extensions import override

from coder.errors import InputError
from coder.model.scripted import ScriptedModel
from coder.policy import Policy
from coder.run import resolve
from coder.sandbox.local import LocalSandboxProvider
from coder.sandbox.protocol import NOTHING, Image, TreePack, Wants
from coder.services import Services
from coder.trace.events import Contacted, Prepared, ProblemRead, ToolFinished
from coder.types import Completion, Contact, Message, RepoRef, RunResult, Task
from coder.workspace.workspace import Workspace
from tests.contract.sandbox_support import git, settings
from tests.integration.test_run import FIX, PROFILE, SUBMIT, Line, does, recorded
from tests.integration.test_run import line as line  # the fixture

STOPPED = Image(
    reference="local",
    digest="local",
    setup_ok=False,
    setup_stopped=True,
    setup_log="$ make it\n[exit code 3]\n! failed: make it: it broke",
)


class Sandboxes(LocalSandboxProvider):
    """Remembers what was asked for, and has an environment that would not build when told so."""

    asked: tuple[tuple[str, ...] | None, Wants] | None = None
    image: Image | None = None
    met: tuple[Contact, ...] = ()

    @override
    def contacts(self, run_id: str) -> tuple[Contact, ...]:
        met, self.met = self.met, ()
        return met

    @override
    def image_for(
        self,
        files: Mapping[str, bytes],
        *,
        pack: TreePack,
        setup: tuple[str, ...] | None,
        progress: Callable[[str], None],
        wants: Wants = NOTHING,
    ) -> Image:
        self.asked = (setup, wants)
        return self.image or super().image_for(files, pack=pack, setup=setup, progress=progress, wants=wants)


@pytest.fixture
def sandboxes() -> Sandboxes:
    return Sandboxes(settings(), env={"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"})


def run(
    line: Line, sandboxes: Sandboxes, turns: Sequence[Message | Completion], policy: Policy | None = None
) -> RunResult:
    task = Task(
        run_id="run-1",
        repo=RepoRef(owner="octo", name="bills"),
        kind="issue",
        number=1,
        requested_by="ann",
        requested_at="2026-01-02T00:00:00Z",
        model="scripted",
    )
    model = ScriptedModel(PROFILE, turns)
    services = Services(
        forge=line.forge,
        model=lambda _: model,
        sandboxes=sandboxes,
        workspace=Workspace(line.folder / "mirrors"),
        codemap=line.codemap,
        journals=line.journals,
        policy=policy or Policy(),
        redact=str,
        redact_fully=str,
    )
    return resolve(task, services)


def commit(line: Line, text: str, branch: str = "main") -> str:
    """Add the file to a branch of the repository; the new commit."""
    folder = line.folder / "bills"
    git(folder, "checkout", "-q", "-B", branch)
    (folder / ".coder.yml").write_text(text)
    git(folder, "add", "--all")
    git(folder, "commit", "-q", "-m", "Say how to work here")
    sha = git(folder, "rev-parse", "HEAD").decode().strip()
    line.forge.branches[branch] = sha
    git(folder, "checkout", "-q", "--detach")
    return sha


def test_what_the_repository_says_reaches_the_sandbox_the_tests_and_the_limits(
    line: Line, sandboxes: Sandboxes
) -> None:
    commit(
        line,
        "setup: [make deps]\nimages: [python, node]\nservices: redis\npackages: libpq-dev\n"
        "test: python3 -m pytest -q\nlimits: {max_steps: 2}\n",
    )

    result = run(line, sandboxes, [does("run", command=f"echo {n}") for n in range(5)])

    assert sandboxes.asked == (
        ("make deps",),
        Wants(images=("python", "node"), packages=("libpq-dev",), services=("redis",)),
    )
    assert (result.outcome.kind, "limit of 2 steps" in result.outcome.reason) == ("limit", True)
    prepared = next(e for e in line.journals.open("run-1").events if isinstance(e, Prepared))
    assert (prepared.test_command or "").startswith("python3 -m pytest -q")


def test_the_operators_setup_and_test_command_win(line: Line, sandboxes: Sandboxes) -> None:
    commit(line, "setup: [make deps]\ntest: make check\n")

    run(line, sandboxes, SUBMIT, Policy(setup=("mine",), test_command="python3 -m pytest"))

    assert sandboxes.asked is not None
    assert sandboxes.asked[0] == ("mine",)
    prepared = next(e for e in line.journals.open("run-1").events if isinstance(e, Prepared))
    assert (prepared.test_command or "").startswith("python3 -m pytest")


def test_what_it_blocks_is_refused_and_what_it_protects_is_flagged(line: Line, sandboxes: Sandboxes) -> None:
    commit(line, "blocked: ['bills/**']\n")

    result = run(line, sandboxes, [does("edit", path="bills/money.py", edits=[FIX]), *SUBMIT * 3])

    assert result.verdict.kind == "refused"
    assert result.pull_request is None


def test_what_it_protects_keeps_a_proven_change_a_draft(line: Line, sandboxes: Sandboxes) -> None:
    commit(line, "protected: ['bills/**']\n")

    result = run(line, sandboxes, recorded())

    assert result.verdict.kind == "proven"
    assert result.pull_request is not None
    assert result.pull_request.draft


def test_the_branch_that_it_names_is_worked_from(line: Line, sandboxes: Sandboxes) -> None:
    commit(line, "limits: {max_steps: 3}\n", "develop")
    commit(line, "base: develop\n")

    run(line, sandboxes, SUBMIT)

    read = next(e for e in line.journals.open("run-1").events if isinstance(e, ProblemRead))
    assert (read.base.ref, read.base.sha) == ("develop", line.forge.branches["develop"])


def test_a_wrong_file_ends_the_run_and_is_told_where_people_look(line: Line, sandboxes: Sandboxes) -> None:
    commit(line, "tests: pytest\n")

    with pytest.raises(InputError, match=r"\.coder\.yml does not fit: tests"):
        run(line, sandboxes, recorded())

    assert "stopped: .coder.yml does not fit: tests" in next(iter(line.forge.statuses.values()))
    assert line.branches() == []


def test_a_verb_that_it_does_not_take_is_refused_before_anything_costs(line: Line, sandboxes: Sandboxes) -> None:
    commit(line, "verbs: [plan]\n")

    result = run(line, sandboxes, [])

    assert (result.verdict.kind, result.spent.steps) == ("no_change", 0)
    assert "`fix` is not among the `verbs` of .coder.yml (plan)" in next(iter(line.forge.statuses.values()))
    assert sandboxes.asked is None
    assert line.branches() == []


def test_a_verb_that_there_is_not_is_told(line: Line, sandboxes: Sandboxes) -> None:
    commit(line, "verbs: [fix, dance]\n")

    with pytest.raises(InputError, match=r"does not fit: verbs\.1"):
        run(line, sandboxes, [])


def test_a_setup_that_stopped_ends_the_run_before_a_dollar_is_spent(line: Line, sandboxes: Sandboxes) -> None:
    sandboxes.image = STOPPED

    with pytest.raises(InputError, match="would not build: failed: make it: it broke"):
        run(line, sandboxes, recorded())

    assert "would not build" in next(iter(line.forge.statuses.values()))


def test_a_run_that_ended_at_its_setup_goes_on_when_that_is_mended(line: Line, sandboxes: Sandboxes) -> None:
    sandboxes.image = STOPPED
    with pytest.raises(InputError):
        run(line, sandboxes, recorded())

    sandboxes.image = None

    assert run(line, sandboxes, recorded()).verdict.kind == "proven"


def test_the_operator_may_go_on_without_setup_and_the_pull_request_says_so(line: Line, sandboxes: Sandboxes) -> None:
    sandboxes.image = STOPPED

    run(line, sandboxes, recorded(), Policy(without_setup=True))

    assert "environment" in next(iter(line.forge.proposals.values())).body


def test_whom_the_sandbox_tried_to_reach_is_journalled_and_told(line: Line, sandboxes: Sandboxes) -> None:
    sandboxes.met = (
        Contact(host="api.example", port=443, allowed=True, count=3),
        Contact(host="evil.example", port=443, allowed=False, reason="not on the list"),
    )

    run(line, sandboxes, recorded())

    events = line.journals.open("run-1").events
    at = next(number for number, event in enumerate(events) if isinstance(event, Contacted))
    assert isinstance(events[at - 1], ToolFinished)
    assert len([event for event in events if isinstance(event, Contacted)]) == 1
    body = next(iter(line.forge.proposals.values())).body
    assert "reached: `api.example:443` 3 times" in body
    assert "refused or failed: `evil.example:443` (not on the list) 1 times" in body
