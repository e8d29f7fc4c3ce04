"""Where a name is defined and used, by the index and the files' own lines: no graph to be wrong or stale."""

import re
from dataclasses import dataclass
from typing import Final

from coder.codemap.index import Index, blob_of, place_of
from coder.codemap.languages import TEXT
from coder.codemap.paths import is_test
from coder.codemap.render import printable
from coder.codemap.snapshot import File, Snapshot
from coder.codemap.tree import Tree
from coder.codemap.words import words
from coder.errors import CoderError

_MAX_REFERENCES: Final = 40
_MAX_FILES: Final = 200
_MAX_LINE: Final = 160


@dataclass(frozen=True, slots=True)
class Place:
    """One line of one file. `kind` is a definition's; empty for a use."""

    path: str
    line: int
    text: str
    kind: str = ""

    def said(self) -> str:
        """The place as one line."""
        kind = f"{self.kind} " if self.kind else ""
        return f"  {printable(self.path)}:{self.line}: {kind}{printable(self.text)}"


@dataclass(frozen=True, slots=True)
class Symbol:
    """Where a name is defined and used. Uses are code before tests before prose."""

    name: str
    definitions: tuple[Place, ...] = ()
    references: tuple[Place, ...] = ()
    more_references: int = 0
    files_not_searched: int = 0

    def text(self) -> str:
        """A line for each place."""
        if not self.name:
            return "no name given"
        lines = [f"definitions of {printable(self.name)}:", *(one.said() for one in self.definitions)]
        lines += [] if self.definitions else ["  (none)"]
        lines += ["references:", *(one.said() for one in self.references)]
        lines += [] if self.references else ["  (none)"]
        lines += [f"  … {self.more_references} more lines"] if self.more_references else []
        lines += [f"  … {self.files_not_searched} more files not searched"] if self.files_not_searched else []
        return "\n".join(lines)


def symbol(tree: Tree, state: Snapshot, index: Index, name: str) -> Symbol:
    """Definitions and references of a name. Of a qualified name (`A.b`, `a::b`) the last part counts."""
    blobs = state.by_blob()
    if not name.strip("(). \t\n"):
        return Symbol("")
    short = re.split(r"\.|::|#", name.strip().rstrip("()"))[-1]
    defined = _definitions(index, short, blobs)
    word = re.compile(rb"(?<![\w$])" + re.escape(short.encode("utf-8", "replace")) + rb"(?![\w$])")
    files = [file for blob in _holding(index, short, blobs) for file in blobs[blob]]
    files.sort(key=lambda file: (file.language == TEXT, is_test(file.path), file.path))
    known = {(one.path, one.line) for one in defined}
    used = [
        Place(file.path, number, text)
        for file in files[:_MAX_FILES]
        for number, text in _matching_lines(tree, file.path, word)
        if (file.path, number) not in known
    ]
    return Symbol(
        short,
        tuple(defined),
        tuple(used[:_MAX_REFERENCES]),
        max(0, len(used) - _MAX_REFERENCES),
        max(0, len(files) - _MAX_FILES),
    )


def _definitions(index: Index, name: str, blobs: dict[int, list[File]]) -> list[Place]:
    """The definitions of that very name, by path and line."""
    found: list[Place] = []
    for document in {document for document in index.places("=" + name.lower()) if blob_of(document) in blobs}:
        one = index.definitions(blob_of(document))[place_of(document) - 1]
        if one.name.rsplit(".", 1)[-1] == name:
            found.extend(Place(file.path, one.line, one.signature, one.kind) for file in blobs[blob_of(document)])
    return sorted(found, key=lambda one: (one.path, one.line, one.kind, one.text))


def _holding(index: Index, name: str, blobs: dict[int, list[File]]) -> set[int]:
    """The blobs that hold every word that the name is found by; all, for a name that is found by none."""
    sets = [{blob_of(document) for document in index.places(word)} for word in words(name)]
    return set.intersection(*sets) & blobs.keys() if sets else set(blobs)  # `get` is too common to be indexed


def _matching_lines(tree: Tree, path: str, word: re.Pattern[bytes]) -> list[tuple[int, str]]:
    """Number and text of each line of a file that a pattern is found in."""
    try:
        source = tree.read(path)
    except (OSError, CoderError):
        return []
    return [
        (number, line.decode("utf-8", "replace").strip()[:_MAX_LINE])
        for number, line in enumerate(source.split(b"\n"), start=1)
        if word.search(line)
    ]
