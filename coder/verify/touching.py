"""Which files of tests speak of a file, by the code map: what is run first of a suite that is too long."""

from collections.abc import Callable

from coder.codemap.map import CodeMap
from coder.errors import CodeMapError
from coder.workspace.repository import Repository


def by_code_map(codemap: CodeMap, repository: Repository) -> Callable[[str, str], tuple[str, ...]]:
    """What gives the test files of a commit that touch one of its files; none where the map knows nothing of it."""

    def touching(commit: str, path: str) -> tuple[str, ...]:
        try:
            return tuple(file.path for file in codemap.tests_of(repository.tree(commit), path).files)
        except CodeMapError:
            return ()

    return touching
