"""The code map: which files and functions matter for a problem, from an index that is kept."""

import hashlib
import re
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final, Self, TypeVar

from coder.codemap.index import BrokenIndexError, Index, blob_of, place_of
from coder.codemap.languages import LANGUAGES, TEXT
from coder.codemap.overview import overview
from coder.codemap.parse import Parsers
from coder.codemap.parsed import Definition
from coder.codemap.paths import is_test
from coder.codemap.query import Query
from coder.codemap.rank import Ranked, rank
from coder.codemap.render import line_of, printable, rendered
from coder.codemap.snapshot import File, Snapshot, snapshot
from coder.codemap.tree import Tree
from coder.codemap.words import words
from coder.errors import CodeMapError, CoderError

_MAX_REFERENCES: Final = 40
_MAX_REFERENCE_FILES: Final = 200
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
            state = self._snapshot(tree)
            return rendered(rank(state, self._index, Query.of(focus)), self._index.definitions, max_tokens=max_tokens)

        return self._with_index(work)

    def ranked(self, tree: Tree, *, focus: str) -> list[Ranked]:
        """All files that fit a problem's text, best first, with the reasons. Raises as `map` does."""
        return self._with_index(lambda: rank(self._snapshot(tree), self._index, Query.of(focus)))

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
        """A file's definitions with their lines, nested by indentation.

        Raises:
            CodeMapError: As `map`; or the tree has no such file, or it is one that is not read (binary, generated).
        """
        found = self._with_index(lambda: self._outline(tree, path))
        if found is None:
            reason = "is not read (binary, generated or too large)" if path in tree.files() else "is not in the tree"
            raise CodeMapError(f"no outline: {printable(path)} {reason}")
        return found

    def symbol(self, tree: Tree, name: str) -> str:
        """Where a name is defined and where it is used, as `path:line: text`; says so when it is nowhere. Raises as `map`."""
        return self._with_index(lambda: self._symbol(tree, name))

    def languages(self) -> tuple[str, ...]:
        """The languages that are parsed; all else is outlined by regular expression."""
        return tuple(language.name for language in LANGUAGES)

    def _snapshot(self, tree: Tree) -> Snapshot:
        return snapshot(tree, self._index, lambda: Parsers(self._workers))

    def _with_index(self, work: Callable[[], T]) -> T:
        """Do it; when the index proves broken, make it anew and do it again, once."""
        with self._lock:
            try:
                return work()
            except BrokenIndexError:
                self._index.close()
                self._index = Index.open(self._path, fresh=True)
                return work()

    def _outline(self, tree: Tree, path: str) -> str | None:
        for file in self._snapshot(tree).files:
            if file.path == path:
                definitions = self._index.definitions(file.row.id)
                lines = [f"{'  ' * one.depth}{line_of(one)[2:]}" for one in definitions[:_MAX_OUTLINE]]
                if len(definitions) > _MAX_OUTLINE:
                    lines.append(f"… {len(definitions) - _MAX_OUTLINE} more")
                return "\n".join([printable(path), *(lines or ["(no definitions found)"])])
        return None

    def _symbol(self, tree: Tree, name: str) -> str:
        blobs = self._snapshot(tree).by_blob()
        short = re.split(r"\.|::|#", name.strip().rstrip("()"))[-1]
        lines = [f"definitions of {printable(short)}:", *self._definitions(short, blobs)]
        if len(lines) == 1:
            lines.append("  (none)")
        defined = {line.rsplit(": ", 1)[0].strip().split(": ", 1)[0] for line in lines[1:]}
        lines.extend(["references:", *(self._references(tree, short, blobs, defined) or ["  (none)"])])
        return "\n".join(lines)

    def _definitions(self, name: str, blobs: dict[int, list[File]]) -> list[str]:
        """A line for each definition of that very name."""
        found: list[tuple[str, int, str]] = []
        for document in set(self._index.places("=" + name.lower())):
            one = self._definition(document) if blob_of(document) in blobs else None
            if one is not None and one.name.rsplit(".", 1)[-1] == name:
                text = f"{one.kind} {printable(one.signature)}"
                found.extend((file.path, one.line, text) for file in blobs[blob_of(document)])
        return [f"  {printable(path)}:{line}: {text}" for path, line, text in sorted(found)]

    def _definition(self, document: int) -> Definition | None:
        definitions: Sequence[Definition] = self._index.definitions(blob_of(document))
        place = place_of(document) - 1
        return definitions[place] if 0 <= place < len(definitions) else None

    def _references(self, tree: Tree, name: str, blobs: dict[int, list[File]], defined: set[str]) -> list[str]:
        """A line for each other line that has the name as a word, code before tests before prose."""
        word = re.compile(rb"(?<![\w$])" + re.escape(name.encode("utf-8", "replace")) + rb"(?![\w$])")
        files = [file for blob in self._holding(name, blobs) for file in blobs[blob]]
        files.sort(key=lambda file: (file.language == TEXT, is_test(file.path), file.path))
        paths = [file.path for file in files]
        found: list[str] = []
        for path in paths[:_MAX_REFERENCE_FILES]:
            for number, text in _matching_lines(tree, path, word):
                place = f"{printable(path)}:{number}"
                if place not in defined:
                    found.append(f"  {place}: {printable(text)}")
        if len(found) > _MAX_REFERENCES:
            return [*found[:_MAX_REFERENCES], f"  … {len(found) - _MAX_REFERENCES} more"]
        return found

    def _holding(self, name: str, blobs: dict[int, list[File]]) -> set[int]:
        """The blobs in which a name can occur, by the rarest of the words that it is found by."""
        folded = words(name)
        sets = [{blob_of(document) for document in self._index.places(word)} for word in folded]
        common = set.intersection(*sets) if sets else set()
        return common & blobs.keys()


def _matching_lines(tree: Tree, path: str, word: re.Pattern[bytes]) -> list[tuple[int, str]]:
    """Number and text of each line of a file that a pattern is found in."""
    try:
        source = tree.read(path)
    except (OSError, CoderError):
        return []
    return [
        (number, line.decode("utf-8", "replace").strip()[:160])
        for number, line in enumerate(source.split(b"\n"), start=1)
        if word.search(line)
    ]


def _digest(state: Snapshot) -> str:
    """A name for what the files are, not for when or where they were indexed."""
    digest = hashlib.sha256()
    for file in state.files:
        digest.update(f"{file.path}\0{file.sha}\0".encode("utf-8", "surrogateescape"))
    return digest.hexdigest()
