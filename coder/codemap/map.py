"""The code map: which files and functions matter for a problem, from an index that is kept."""

import logging
from functools import partial
from pathlib import Path
from typing import Final

from typing_extensions import override

from coder.codemap.build import Watch, build, patient
from coder.codemap.contents import folder_outline, near_paths
from coder.codemap.maps import Maps
from coder.codemap.parsed import Definition
from coder.codemap.past import past_of
from coder.codemap.render import line_of, printable
from coder.codemap.statistics import Statistics, statistics
from coder.codemap.symbols import Symbol, symbol
from coder.codemap.syntax import SyntaxChecker
from coder.codemap.tested import Tests, tests_touching
from coder.codemap.together import Together, together
from coder.codemap.tree import Tree
from coder.errors import CodeMapError

logger = logging.getLogger(__name__)

_MAX_OUTLINE: Final = 400


class CodeMap(Maps):
    """Maps of trees, and all else that an index and parsers can tell of them. Close it, or use it with `with`."""

    def __init__(self, index_path: Path, *, workers: int = 2, watch: Watch = patient) -> None:
        """Open the index, or make one; `workers` is how many processes may parse at once, `watch` sees what they did."""
        super().__init__(index_path, partial(build, workers=workers, watch=watch), _log)
        self.syntax = SyntaxChecker()
        """Tells syntax errors of any text."""

    @override
    def close(self) -> None:
        """Let go of the index and the parser; safe to call twice."""
        self.syntax.close()
        super().close()

    def outline(self, tree: Tree, path: str) -> str:
        """A file's definitions with their lines, nested by indentation; a folder's files with theirs. Raises as `definitions`."""
        if path not in tree.files():
            folder = self._with_index(lambda: folder_outline(self._snapshot(tree), self._index, path, tree.files()))
            if folder is not None:
                return folder
        definitions = self.definitions(tree, path)
        lines = [f"{'  ' * one.depth}{line_of(one)[2:]}" for one in definitions[:_MAX_OUTLINE]]
        if len(definitions) > _MAX_OUTLINE:
            lines.append(f"… {len(definitions) - _MAX_OUTLINE} more")
        return "\n".join([printable(path), *(lines or ["(no definitions found)"])])

    def definitions(self, tree: Tree, path: str) -> tuple[Definition, ...]:
        """A file's definitions in order of their start, outer before inner.

        Raises:
            CodeMapError: As `map`; or the tree has no such file, or it is one that is not read (binary, generated).
        """

        def work() -> tuple[Definition, ...] | None:
            row = next((file.row for file in self._snapshot(tree).files if file.path == path), None)
            return None if row is None else tuple(self._index.definitions(row.id))

        found = self._with_index(work)
        if found is None:
            is_there = path in tree.files()
            reason = (
                "is not read (binary, generated or too large)"
                if is_there
                else f"is not in the tree{_meant(path, tree)}"
            )
            raise CodeMapError(f"no outline: {printable(path)} {reason}")
        return found

    def places(self, tree: Tree, name: str) -> Symbol:
        """Where a name is defined and where it is used. Raises as `map` does."""
        return self._with_index(lambda: symbol(tree, self._snapshot(tree), self._index, name))

    def tests_of(self, tree: Tree, target: str) -> Tests:
        """The tests that touch a file, or a name that is defined in the tree.

        Raises:
            CodeMapError: As `map`; or there is neither such a file nor such a name.
        """
        found = self._with_index(lambda: tests_touching(tree, self._snapshot(tree), self._index, target))
        if found is None:
            raise CodeMapError(f"{printable(target)} is neither a file that is read nor a name{_meant(target, tree)}")
        return found

    def together(self, tree: Tree, path: str) -> Together:
        """What changed along with a file or folder, by the commits before.

        Raises:
            CodeMapError: As `map`; or the tree has no such path.
        """
        files = tree.files()
        if path not in files and not any(one.startswith(path.rstrip("/") + "/") for one in files):
            raise CodeMapError(f"{printable(path)} is not in the tree{_meant(path, tree)}")
        return self._with_index(lambda: together([one.paths for one in past_of(tree, self._index)], path, files))

    def statistics(self, tree: Tree) -> Statistics:
        """What of a tree is read, and how. Raises as `map` does."""
        return self._with_index(lambda: statistics(tree, self._snapshot(tree), self._path))


def _log(text: str) -> None:
    logger.warning("code map index", extra={"what": text})


def _meant(path: str, tree: Tree) -> str:
    """The files that may have been meant, as the end of a sentence."""
    near = near_paths(path, tree.files().keys())
    return f". Did you mean {' or '.join(map(printable, near))}?" if near else ""
