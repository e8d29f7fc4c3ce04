"""What lies in a folder, and which paths are meant by one that is not there."""

import difflib
import posixpath
from collections import Counter
from collections.abc import Collection, Sequence
from typing import Final

from coder.codemap.index import Index
from coder.codemap.parsed import Definition
from coder.codemap.render import Page, printable
from coder.codemap.snapshot import Snapshot

_MAX_TOKENS: Final = 2_000
_MAX_NAMES: Final = 12
_NEAR: Final = 3
_MAX_COMPARED: Final = 20_000
"""Paths that a misspelt one is compared with: difflib takes about 10 µs for each."""


def folder_outline(state: Snapshot, index: Index, folder: str, files: Collection[str]) -> str | None:
    """A line for each file of a folder with its outermost definitions, and one for each folder in it; None when it has none."""
    prefix = "" if folder in {"", "."} else folder.rstrip("/") + "/"
    below = [path for path in sorted(files) if path.startswith(prefix)]
    if not below:
        return None
    here = [path for path in below if "/" not in path[len(prefix) :]]
    folders = Counter(path[len(prefix) :].split("/", 1)[0] for path in below if "/" in path[len(prefix) :])
    rows = {file.path: file.row.id for file in state.files}
    page = Page(_MAX_TOKENS)
    page.add(f"{printable(prefix) or './'} ({len(below)} files)")
    lines = [f"  {printable(name)}/ ({count} files)" for name, count in sorted(folders.items())]
    for path in here:
        names = _outermost(index.definitions(rows[path])) if path in rows else ["(not read: binary or generated)"]
        lines.append(f"  {printable(path[len(prefix) :])}{': ' if names else ''}{printable(', '.join(names))}")
    for number, line in enumerate(lines):
        if not page.add(line, limit=_MAX_TOKENS - _NEAR):
            page.add(f"  … {len(lines) - number} more")
            break
    return page.text()


def near_paths(path: str, files: Collection[str]) -> tuple[str, ...]:
    """Files that somebody who wrote `path` may have meant: of the same name, or spelt almost so."""
    name = posixpath.basename(path.rstrip("/"))
    same = sorted(one for one in files if posixpath.basename(one) == name)
    if not same:
        same = sorted(one for one in files if posixpath.basename(one).split(".", 1)[0] == name.split(".", 1)[0])
    if same:
        ends = {one: len(posixpath.commonprefix([one[::-1], path[::-1]])) for one in same}
        return tuple(sorted(same, key=lambda one: (-ends[one], one))[:_NEAR])
    return tuple(difflib.get_close_matches(path, sorted(files)[:_MAX_COMPARED], n=_NEAR, cutoff=0.7))


def _outermost(definitions: Sequence[Definition]) -> list[str]:
    """The names of a file's outermost definitions in their order, once each."""
    names = list(dict.fromkeys(one.name for one in definitions if one.depth == 0))
    return names[:_MAX_NAMES] + ([f"… {len(names) - _MAX_NAMES} more"] if len(names) > _MAX_NAMES else [])
