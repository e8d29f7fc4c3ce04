"""What the agent of a run can do: its tools, put together from the run's parts."""

from typing import Any

from coder.codemap.map import CodeMap
from coder.codemap.tree import Tree
from coder.model.profile import ModelProfile
from coder.sandbox.protocol import Sandbox
from coder.services import Ground, Services
from coder.tools.apply_patch import ApplyPatch
from coder.tools.ask import Ask
from coder.tools.base import Tool
from coder.tools.codemap import CodeMapTool
from coder.tools.edit import EditTool
from coder.tools.files import List, Read, Search
from coder.tools.plan import Plan, Submit
from coder.tools.recall import RecallTool
from coder.tools.rollback import Rollback
from coder.tools.run import Processes, Run, RunTests
from coder.trace.journal import Journal
from coder.trace.recall import Recall
from coder.types import Base, Cell
from coder.verify.cells import run_cell

MAP_TOKENS_OF_TOOL = 1_000
"""Size of what the tool `code_map` gives for words."""


def tools_of(
    services: Services,
    ground: Ground,
    base: Base,
    *,
    sandbox: Sandbox,
    profile: ModelProfile,
    journal: Journal,
    recall: Recall,
) -> list[Tool[Any]]:
    """The tools of a run. A new one is one line here."""

    def suite(sandbox: Sandbox, select: list[str], timeout_s: float) -> Cell | None:
        if ground.tests is None:
            return None
        return run_cell(sandbox, name="head", tree_sha="", command=ground.tests.selecting(select), timeout_s=timeout_s)

    syntax = services.codemap.syntax
    tools: list[Tool[Any]] = [
        CodeMapTool(_BaseMaps(services.codemap, ground.repository.tree(base.sha))),
        ApplyPatch(sandbox, syntax) if profile.edit_format == "apply_patch" else EditTool(sandbox, syntax),
        List(sandbox),
        Plan(),
        Processes(sandbox),
        Read(sandbox),
        RecallTool(recall),
        Rollback(sandbox, journal),
        Run(sandbox),
        RunTests(sandbox, suite),
        Search(sandbox),
        Submit(sandbox),
    ]
    return [*tools, Ask()] if services.answerable else tools


class _BaseMaps:
    """The code map of the base commit, as the model's tool asks for it."""

    def __init__(self, codemap: CodeMap, tree: Tree) -> None:
        self._codemap, self._tree = codemap, tree

    def relevant(self, words: str) -> str:
        return self._codemap.map(self._tree, focus=words, max_tokens=MAP_TOKENS_OF_TOOL)

    def outline(self, path: str) -> str:
        return self._codemap.outline(self._tree, path)

    def symbol(self, name: str) -> str:
        return self._codemap.symbol(self._tree, name)
