"""Where a name is defined and used, by the index and the files' own lines: no graph to be wrong or stale."""

import re
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

Places = set[tuple[str, int]]
"""Path and line of what was found."""


def symbol(tree: Tree, state: Snapshot, index: Index, name: str) -> str:
    """Definitions and references of a name, a line each. Of a qualified name (`A.b`, `a::b`) the last part counts."""
    blobs = state.by_blob()
    if not name.strip("(). \t\n"):
        return "no name given"
    short = re.split(r"\.|::|#", name.strip().rstrip("()"))[-1]
    defined: Places = set()
    lines = [f"definitions of {printable(short)}:", *(_definitions(index, short, blobs, defined) or ["  (none)"])]
    lines.extend(["references:", *(_references(tree, index, short, blobs, defined) or ["  (none)"])])
    return "\n".join(lines)


def _definitions(index: Index, name: str, blobs: dict[int, list[File]], defined: Places) -> list[str]:
    """A line for each definition of that very name; their places are added to `defined`."""
    found: list[tuple[str, int, str]] = []
    for document in {document for document in index.places("=" + name.lower()) if blob_of(document) in blobs}:
        one = index.definitions(blob_of(document))[place_of(document) - 1]
        if one.name.rsplit(".", 1)[-1] == name:
            text = f"{one.kind} {printable(one.signature)}"
            found.extend((file.path, one.line, text) for file in blobs[blob_of(document)])
    defined.update((path, line) for path, line, _ in found)
    return [f"  {printable(path)}:{line}: {text}" for path, line, text in sorted(found)]


def _references(tree: Tree, index: Index, name: str, blobs: dict[int, list[File]], defined: Places) -> list[str]:
    """A line for each other line that has the name as a word, code before tests before prose, not too many."""
    word = re.compile(rb"(?<![\w$])" + re.escape(name.encode("utf-8", "replace")) + rb"(?![\w$])")
    files = [file for blob in _holding(index, name, blobs) for file in blobs[blob]]
    files.sort(key=lambda file: (file.language == TEXT, is_test(file.path), file.path))
    found: list[str] = []
    for file in files[:_MAX_FILES]:
        for number, text in _matching_lines(tree, file.path, word):
            if (file.path, number) not in defined:
                found.append(f"  {printable(file.path)}:{number}: {printable(text)}")
    left = len(files) - _MAX_FILES
    if len(found) > _MAX_REFERENCES:
        found = [*found[:_MAX_REFERENCES], f"  … {len(found) - _MAX_REFERENCES} more lines"]
    return [*found, f"  … {left} more files not searched"] if left > 0 else found


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
