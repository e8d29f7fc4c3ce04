"""What commits said and changed, as one question to git. Light to import."""

import os
from typing import Final

MAX_SUBJECTS: Final = 1000
"""Commits that are asked for: about a year of a busy project."""
MAX_OUTPUT: Final = 16 << 20
"""Bytes of the answer that are read: a history of imports and formats is longer, and its rest says nothing more."""

Said = tuple[str, tuple[str, ...]]
"""A commit's subject, and the files that it changed."""


def question(commit: str) -> tuple[str, ...]:
    """Git's arguments; what a repository's configuration could start (signatures are checked by a program) is off."""
    return (
        *("log", "--no-show-signature", "--no-ext-diff", "--no-textconv", "--no-color", "--no-merges", "--no-renames"),
        *("--name-only", "-z", "--format=%x01%s%x02", f"--max-count={MAX_SUBJECTS}", "--end-of-options", commit, "--"),
    )


def subjects(answer: bytes) -> list[Said]:
    """Git's answer. A path that is not UTF-8 carries its odd bytes as surrogate escapes."""
    found: list[Said] = []
    for record in answer[:MAX_OUTPUT].split(b"\x01")[1:]:
        subject, _, names = record.partition(b"\x02")
        paths = (os.fsdecode(name.lstrip(b"\n")) for name in names.split(b"\0"))
        found.append((subject.decode("utf-8", "replace"), tuple(path for path in paths if path)))
    return found
