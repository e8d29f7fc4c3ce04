"""What the agent of a run can do: its tools, put together from the run's parts."""

from collections.abc import Sequence
from functools import partial
from typing import Any

from typing_extensions import override

from coder.codemap.map import CodeMap
from coder.errors import WorkspaceError
from coder.memory.known import known
from coder.memory.store import MemoryStore
from coder.model.profile import ModelProfile
from coder.sandbox.protocol import Sandbox
from coder.services import Ground, Services
from coder.tools.apply_patch import ApplyPatch
from coder.tools.ask import Ask
from coder.tools.base import Tool
from coder.tools.codemap import CodeMapTool, Maps
from coder.tools.edit import EditTool
from coder.tools.files import List, Read, Search
from coder.tools.plan import Plan
from coder.tools.recall import RecallTool
from coder.tools.remember import Origin, Remember
from coder.tools.rollback import Rollback
from coder.tools.run import Processes, Run, RunTests
from coder.tools.submit import Submit
from coder.trace.events import Baseline, Continued, ProblemRead
from coder.trace.journal import Journal, utc_now
from coder.trace.recall import Recall
from coder.types import Base, Cell, Note, Task
from coder.verify.cells import run_cell
from coder.verify.runners import TestCommand
from coder.workspace.repository import Repository

MAP_TOKENS_OF_TOOL = 1_000
"""Size of what the tool `code_map` gives for words."""


def tools_of(
    task: Task,
    services: Services,
    ground: Ground,
    base: Base,
    *,
    sandbox: Sandbox,
    profile: ModelProfile,
    journal: Journal,
    recall: Recall,
    baseline: Baseline | None,
) -> list[Tool[Any]]:
    """The tools of a run. A new one is one line here."""

    def suite(sandbox: Sandbox, select: list[str], timeout_s: float) -> Cell | None:
        if ground.tests is None:
            return None
        return run_cell(sandbox, name="head", tree_sha="", command=ground.tests.selecting(select), timeout_s=timeout_s)

    syntax = services.codemap.syntax
    tools: list[Tool[Any]] = [
        CodeMapTool(BaseMaps(services.codemap, ground.repository, base.sha)),
        ApplyPatch(sandbox, syntax) if profile.edit_format == "apply_patch" else EditTool(sandbox, syntax),
        List(sandbox),
        Plan(),
        Processes(sandbox),
        Read(sandbox),
        RecallTool(recall),
        Rollback(sandbox, journal),
        Run(sandbox),
        RunTests(sandbox, suite, selects=partial(_selects, ground.tests), red_on_base=baseline.red if baseline else ()),
        Search(sandbox),
        Submit(sandbox, journal),
    ]
    tools += services.more_tools()
    if services.memory is not None:
        origin = Origin(task.repo.full_name, base.sha, task.run_id, task.requested_by)
        trusted = partial(all_trusted, journal)
        keeper = services.redact_fully
        tools.append(Remember(sandbox, services.memory, origin, trusted=trusted, redact=keeper, now=utc_now))
    return [*tools, Ask()] if services.answerable else tools


def all_trusted(journal: Journal) -> bool:
    """Whether all words that the model was given are those of people who may write to the repository."""
    notes: list[Note] = []
    for event in journal.events:
        if isinstance(event, ProblemRead):
            notes += [event.problem.body, *event.problem.comments]
        elif isinstance(event, Continued):
            notes += [event.followup.note, *(thread.note for thread in event.followup.threads)]
    # What people say while it works is passed on from those only who may write (`Services.inbox`).
    return all(note.trusted for note in notes)


def remembered(memory: MemoryStore | None, repo: str, repository: Repository, sha: str) -> tuple[str, ...]:
    """What earlier runs found out that still stands at `sha`, a line each."""

    def read(path: str) -> bytes | None:
        try:
            return repository.read(sha, path)
        except WorkspaceError:
            return None

    return () if memory is None else known(memory, repo, read, utc_now())


def _selects(tests: TestCommand | None, select: Sequence[str]) -> bool:
    """Whether a selection makes another command."""
    return tests is not None and tests.selecting(select) != tests


class BaseMaps(Maps):
    """The code map of the base commit, as the model's tool asks for it."""

    def __init__(self, codemap: CodeMap, repository: Repository, sha: str) -> None:
        self._codemap, self._tree = codemap, repository.tree(sha)

    @override
    def overview(self) -> str:
        return self._codemap.overview(self._tree, max_tokens=MAP_TOKENS_OF_TOOL)

    @override
    def relevant(self, words: str) -> str:
        return self._codemap.map(self._tree, focus=words, max_tokens=MAP_TOKENS_OF_TOOL)

    @override
    def outline(self, path: str) -> str:
        return self._codemap.outline(self._tree, path)

    @override
    def symbol(self, name: str) -> str:
        return self._codemap.places(self._tree, name).text()

    @override
    def tests_of(self, target: str) -> str:
        return self._codemap.tests_of(self._tree, target).text()

    @override
    def changed_with(self, path: str) -> str:
        return self._codemap.together(self._tree, path).text()
