"""The code map: which files and functions matter for a problem, from an index that is kept."""

import hashlib
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final, Self, TypeVar

from coder.codemap.contents import folder_outline, near_paths
from coder.codemap.index import BrokenIndexError, Index
from coder.codemap.overview import overview
from coder.codemap.parse import Parsers
from coder.codemap.parsed import Definition
from coder.codemap.query import Query
from coder.codemap.rank import Ranked, rank
from coder.codemap.render import line_of, printable, rendered
from coder.codemap.snapshot import Snapshot, snapshot
from coder.codemap.statistics import Statistics, statistics
from coder.codemap.symbols import Symbol, symbol
from coder.codemap.syntax import SyntaxChecker
from coder.codemap.tested import Tests, tests_touching
from coder.codemap.together import Changes, Together, known_changes, together
from coder.codemap.tree import Tree
from coder.errors import CodeMapError

_MAX_OUTLINE: Final = 400

T = TypeVar("T")


class CodeMap:
    """Maps of trees, from one index file that all trees, runs and processes may share. Close it, or use it with `with`."""

    def __init__(self, index_path: Path, *, workers: int = 2) -> None:
        """Open the index, or make one; `workers` is how many processes may parse at once."""
        self._path = index_path
        self._workers = workers
        self._lock = threading.RLock()
        self._index = Index.open(index_path)
        self._latest: tuple[Mapping[str, str], Snapshot] | None = None
        """The tree that was asked about last: a model asks about one tree many times."""
        self.syntax = SyntaxChecker()
        """Tells syntax errors of any text."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the index and the parser; safe to call twice."""
        self.syntax.close()
        self._index.close()

    def map(self, tree: Tree, *, focus: str, max_tokens: int) -> str:
        """The files and definitions that a problem's text is about, best first, in at most `max_tokens` tokens.

        Raises:
            CodeMapError: The index cannot be used, or no parser will start.
        """

        def work() -> str:
            state = self._snapshot(tree)
            return rendered(rank(state, self._index, Query.of(focus)), self._index.definitions, max_tokens=max_tokens)

        return self._with_index(work)

    def ranked(self, tree: Tree, *, focus: str) -> list[Ranked]:
        """All files that fit a problem's text, best first, with the reasons. Raises as `map` does."""
        return self._with_index(lambda: rank(self._snapshot(tree), self._index, Query.of(focus), explain=True))

    def overview(self, tree: Tree, *, max_tokens: int) -> str:
        """What the repository holds: its folders and main definitions. Depends on the files alone. Raises as `map` does."""

        def work() -> str:
            state = self._snapshot(tree)
            key = f"overview {max_tokens} {_digest(state)}"
            text = self._index.kept(key)
            if text is None:
                text = overview(state, self._index, max_tokens=max_tokens)
                self._index.keep(key, text)
            return text

        return self._with_index(work)

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

    def together(self, tree: Tree, path: str, history: Changes) -> Together:
        """What changed along with a file or folder, by the commits before.

        Raises:
            CodeMapError: As `map`; or the tree has no such path.
            CoderError: The history cannot be read.
        """
        files = tree.files()
        if path not in files and not any(one.startswith(path.rstrip("/") + "/") for one in files):
            raise CodeMapError(f"{printable(path)} is not in the tree{_meant(path, tree)}")
        return self._with_index(lambda: together(known_changes(history, self._index), path, files))

    def statistics(self, tree: Tree) -> Statistics:
        """What of a tree is read, and how. Raises as `map` does."""
        return self._with_index(lambda: statistics(tree, self._snapshot(tree), self._path))

    def _snapshot(self, tree: Tree) -> Snapshot:
        files = tree.files()
        if self._latest is None or self._latest[0] != files:
            self._latest = (files, snapshot(tree, self._index, lambda: Parsers(self._workers)))
        return self._latest[1]

    def _with_index(self, work: Callable[[], T]) -> T:
        """Do it; when the index proves broken, make it anew and do it again, once."""
        with self._lock:
            try:
                return work()
            except BrokenIndexError:
                self._index.close()
                self._latest = None
                self._index = Index.open(self._path, fresh=True)
                return work()


def _meant(path: str, tree: Tree) -> str:
    """The files that may have been meant, as the end of a sentence."""
    near = near_paths(path, tree.files().keys())
    return f". Did you mean {' or '.join(map(printable, near))}?" if near else ""


def _digest(state: Snapshot) -> str:
    """A name for what the files are, not for when or where they were indexed."""
    digest = hashlib.sha256()
    for file in state.files:
        digest.update(f"{file.path}\0{file.sha}\0".encode("utf-8", "surrogateescape"))
    return digest.hexdigest()
