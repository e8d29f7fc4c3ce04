"""A tree as the index knows it: which of its files are read, and what is known of them."""

from collections.abc import Callable, Mapping
from typing import NamedTuple

from coder.codemap.index import Index, Key, Row
from coder.codemap.languages import language_of
from coder.codemap.paths import is_worth_reading
from coder.codemap.tree import Tree

Build = Callable[[Tree, Index, Mapping[Key, str]], None]
"""Reads blobs that an index does not know into it; each stands with a path to read it by."""


class File(NamedTuple):
    """A file of a tree that can be searched."""

    path: str
    sha: str
    language: str
    row: Row


class Snapshot(NamedTuple):
    """The files of a tree in order of their paths, and their rows in the index."""

    files: tuple[File, ...]

    def by_blob(self) -> dict[int, list[File]]:
        """The files of each blob; several when a file was copied."""
        found: dict[int, list[File]] = {}
        for file in self.files:
            found.setdefault(file.row.id, []).append(file)
        return found


def snapshot(tree: Tree, index: Index, build: Build) -> Snapshot:
    """`tree` in the index; what the index did not know is read and parsed first."""
    files = [(path, (sha, language_of(path))) for path, sha in sorted(tree.files().items()) if is_worth_reading(path)]
    keys = {key: path for path, key in reversed(files)}
    rows = index.rows(keys)
    missing = {key: path for key, path in keys.items() if key not in rows}
    if missing:
        build(tree, index, missing)
        rows.update(index.rows(missing))
    return Snapshot(
        tuple(File(path, *key, rows[key]) for path, key in files if key in rows and rows[key].status != "skipped")
    )
