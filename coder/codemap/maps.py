"""Maps: which files and functions matter for a problem. Light to import, because `coder map` should answer at once."""

import threading
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import Self, TypeVar

from coder.codemap.index import BrokenIndexError, Index
from coder.codemap.overview import overview
from coder.codemap.past import past_of
from coder.codemap.query import Query
from coder.codemap.rank import Ranked, rank
from coder.codemap.render import rendered
from coder.codemap.snapshot import Build, Snapshot, snapshot
from coder.codemap.tree import Tree

T = TypeVar("T")


class Maps:
    """Maps of trees, from one index file that all trees, runs and processes may share. Close it, or use it with `with`."""

    def __init__(self, index_path: Path, build: Build, say: Callable[[str], None]) -> None:
        """Open the index, or make one; `build` reads what it does not know yet, `say` is told when one had to be made anew."""
        self._path = index_path
        self._build = build
        self._lock = threading.RLock()
        self._say = say
        self._index = self._opened()
        self._latest: tuple[Mapping[str, str], Snapshot] | None = None
        """The tree that was asked about last: a model asks about one tree many times."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the index; safe to call twice."""
        self._index.close()

    def map(self, tree: Tree, *, focus: str, max_tokens: int) -> str:
        """The files and definitions that a problem's text is about, best first, in at most `max_tokens` tokens.

        Raises:
            CodeMapError: The index cannot be used, or no parser will start.
        """

        def work() -> str:
            query = Query.of(focus)
            state = self._snapshot(tree, query.words)
            ranking = rank(state, self._index, query, changes=past_of(tree, self._index))
            return rendered(ranking, self._index.definitions, max_tokens=max_tokens)

        return self._with_index(work)

    def ranked(self, tree: Tree, *, focus: str) -> list[Ranked]:
        """All files that fit a problem's text, best first, with the reasons. Raises as `map` does."""

        def work() -> list[Ranked]:
            query = Query.of(focus)
            state = self._snapshot(tree, query.words)
            return rank(state, self._index, query, changes=past_of(tree, self._index), explain=True)

        return self._with_index(work)

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

    def _snapshot(self, tree: Tree, words: Collection[str] = ()) -> Snapshot:
        files = tree.files()
        if self._latest is None or self._latest[0] != files:
            state = snapshot(tree, self._index, self._build, words)
            if state.unread:
                self._say(f"{state.unread} of {len(files)} files are not read yet: ask again, and more are")
                return state
            self._latest = (files, state)
        return self._latest[1]

    def _with_index(self, work: Callable[[], T]) -> T:
        """Do it; when the index proves broken, make it anew and do it again, once."""
        with self._lock:
            try:
                return work()
            except (BrokenIndexError, IndexError):  # a document beyond its blob's last: bytes were flipped
                self._index.close()
                self._latest = None
                self._index = self._opened(fresh=True)
                return work()

    def _opened(self, *, fresh: bool = False) -> Index:
        index = Index.open(self._path, fresh=fresh)
        if index.made_anew:
            self._say(f"the code map's index {self._path} is made anew: {index.made_anew}; the old file ends in .old")
        return index


def _digest(state: Snapshot) -> str:
    """A name for what the files are, not for when or where they were indexed."""
    import hashlib  # noqa: PLC0415 - a problem's map needs none, and should not wait for OpenSSL

    digest = hashlib.sha256()
    for file in state.files:
        digest.update(f"{file.path}\0{file.sha}\0".encode("utf-8", "surrogateescape"))
    return digest.hexdigest()
