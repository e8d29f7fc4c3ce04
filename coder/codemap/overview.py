"""What a repository holds, said without any problem in mind: the same for every run on a commit, so that prompts share it."""

from collections import Counter
from typing import Final

from coder.codemap.index import Index
from coder.codemap.parsed import Definition
from coder.codemap.paths import handicap, is_test
from coder.codemap.render import Page, line_of, printable
from coder.codemap.snapshot import File, Snapshot
from coder.codemap.words import stem

_FOLDER_SHARE: Final = 0.4
_MAX_FOLDERS: Final = 60
_MAX_DEPTH: Final = 3
_MAX_JUDGED: Final = 1000
"""Files whose use by others is counted: those with most in them."""
_SHOWN: Final = 4


def overview(state: Snapshot, index: Index, *, max_tokens: int) -> str:
    """Languages, folders by size, and the files that most others speak of with their largest definitions."""
    page = Page(max_tokens)
    languages = Counter(file.language for file in state.files)
    counted = ", ".join(
        f"{name} {count}" for name, count in sorted(languages.items(), key=lambda item: (-item[1], item[0]))
    )
    if not page.add(f"{len(state.files)} files: {counted}" if counted else "no files"):
        return ""
    for line in _folders(state):
        if not page.add(line, limit=int(max_tokens * _FOLDER_SHARE)):
            break
    for file in _central(state, index):
        lines = [line_of(one) for one in _largest(index.definitions(file.row.id))]
        if lines and not page.add(printable(file.path), *lines):
            break
    return page.text()


def _folders(state: Snapshot) -> list[str]:
    """The folders with the most files, by path, each with how many lie under it."""
    counts: Counter[str] = Counter()
    for file in state.files:
        pieces = file.path.split("/")[:-1]
        for depth in range(1, min(len(pieces), _MAX_DEPTH) + 1):
            counts["/".join(pieces[:depth]) + "/"] += 1
    largest = sorted(counts.items(), key=lambda item: (-item[1], item[0]))[:_MAX_FOLDERS]
    return [f"{printable(folder)} {count}" for folder, count in sorted(largest)]


def _central(state: Snapshot, index: Index) -> list[File]:
    """Code files by how many others hold their name, then by size."""
    judged = [
        file for file in state.files if not is_test(file.path) and not handicap(file.path) and file.row.status != "text"
    ]
    judged.sort(key=lambda file: (-file.row.words, file.path))
    judged = judged[:_MAX_JUDGED]
    held = index.runs({_name(file) for file in judged}, state.by_blob.keys())
    used = {name: len(runs) for name, runs in held.items()}
    judged.sort(key=lambda file: (-used.get(_name(file), 0), -file.row.words, file.path))
    return judged


def _name(file: File) -> str:
    """The word that others use for a file: its stem, or its folder's name where the stem says nothing."""
    *folders, name = file.path.lower().split("/")
    word = name.split(".", 1)[0]
    if word in {"__init__", "index", "mod", "main", "lib"} and folders:
        word = folders[-1]
    return word if "_" in word else stem(word)


def _largest(definitions: list[Definition]) -> list[Definition]:
    """A file's longest top-level definitions, in line order."""
    top = [one for one in definitions if one.depth == 0]
    top.sort(key=lambda one: (one.line - one.end_line, one.line))
    return sorted(top[:_SHOWN], key=lambda one: one.line)
