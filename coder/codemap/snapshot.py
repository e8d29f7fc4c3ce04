"""A tree as the index knows it: which of its files are read, and what is known of them."""

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Final, NamedTuple

from coder.codemap.attributes import FILE, MAX_FILES, Rule, linguist_lines, said
from coder.codemap.attributes import rules as attribute_rules
from coder.codemap.index import Index, Key, Row
from coder.codemap.languages import language_of
from coder.codemap.paths import handicap, is_worth_reading, words_in_paths
from coder.codemap.tree import Tree
from coder.errors import CoderError

Build = Callable[[Tree, Index, Mapping[Key, str]], None]
"""Reads blobs that an index does not know into it; each stands with a path to read it by."""


_LARGE: Final = 2_000
"""So many new blobs take seconds: what a problem's words stand in the paths of is read first."""


class File(NamedTuple):
    """A file of a tree that can be searched."""

    path: str
    sha: str
    language: str
    row: Row
    is_documentation: bool = False
    """By what the repository says of its files."""


class Snapshot(NamedTuple):
    """The files of a tree in order of their paths, and their rows in the index."""

    files: tuple[File, ...]
    by_blob: Mapping[int, Sequence[File]]
    """The files of each blob; several when a file was copied."""
    left_out: int = 0
    """Files that were not looked into, by their path or by what the repository says of them."""
    unread: int = 0
    """Files that the reading did not come to before it was ended."""


def snapshot(tree: Tree, index: Index, build: Build, words: Collection[str] = ()) -> Snapshot:
    """`tree` in the index; what the index did not know is read and parsed first, that with `words` in its path before all."""
    listed = sorted(tree.files().items())
    rules = _rules(tree, index)
    sayings = {path: said(rules, path) for path, _ in listed} if rules else {}
    files = [(path, (sha, language_of(path))) for path, sha in listed if _is_chosen(path, sayings.get(path))]
    keys = {key: path for path, key in reversed(files)}
    rows = index.rows(keys)
    missing = {key: path for path, key in files if key not in rows and keys[key] == path}
    if missing:
        build(tree, index, _promising_first(missing, words) if len(missing) > _LARGE else missing)
        rows.update(index.rows(missing))
    aside = {path for path, values in sayings.items() if values.get("documentation")}
    found = [
        File(path, *key, rows[key], path in aside)
        for path, key in files
        if key in rows and rows[key].status != "skipped"
    ]
    by_blob: dict[int, list[File]] = {}
    for file in found:
        by_blob.setdefault(file.row.id, []).append(file)
    unread = sum(1 for key in missing if key not in rows)
    return Snapshot(tuple(found), by_blob, len(listed) - len(files), unread)


def _is_chosen(path: str, values: Mapping[str, bool] | None) -> bool:
    """Whether to look into a file; what the repository says of it wins over what its folder is called."""
    if not values:
        return is_worth_reading(path)
    if values.get("generated") or values.get("vendored"):
        return False
    return is_worth_reading(path.rpartition("/")[2] if "vendored" in values else path)


def _rules(tree: Tree, index: Index) -> tuple[Rule, ...]:
    """What the repository's own files say; the index keeps their lines, so that no map needs to read them again."""
    files = tree.files()
    paths = sorted((path for path in files if path.endswith(FILE)), key=lambda path: (path.count("/"), path))
    texts: dict[str, str] = {}
    for path in paths[:MAX_FILES]:
        folder, slash, name = path.rpartition("/")
        if name != FILE:
            continue
        key = f"attributes {files[path]}"
        text = index.kept(key)
        if text is None:
            try:
                text = linguist_lines(tree.read(path).decode("utf-8", "replace"))
            except (OSError, CoderError):
                continue
            index.keep(key, text)
        if text:
            texts[folder + slash] = text
    return attribute_rules(texts) if texts else ()


def _promising_first(missing: Mapping[Key, str], words: Collection[str]) -> dict[Key, str]:
    """Code before prose, and first of all the files whose paths hold words of the problem; else by path."""
    keys = list(missing)
    held = words_in_paths([missing[key] for key in keys], words)
    order = sorted(
        range(len(keys)), key=lambda number: (-len(held.get(number, ())), handicap(missing[keys[number]]) > 0)
    )
    return {keys[number]: missing[keys[number]] for number in order}
