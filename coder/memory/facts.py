"""A fact about a repository with the lines that bear it out: it holds as long as one of each still stands in its file."""

import hashlib
from collections.abc import Callable, Iterable

from coder.types import Value

MAX_FACT_CHARS = 400
MIN_LINE_CHARS = 4
"""Shorter lines (`}`, `end`) stand in every file and bear nothing out."""

Read = Callable[[str], bytes | None]
"""A file of a tree by its path; None when there is no such file."""


class Citation(Value):
    """A line of a file that bears a fact out. Where it stands may change, what it says may not."""

    path: str
    line: int
    """From 1, as of `Fact.commit_sha`."""
    line_hash: str


class Fact(Value):
    """One thing that is true of a repository."""

    id: int = 0
    repo: str
    """`owner/name`."""
    text: str
    citations: tuple[Citation, ...]
    commit_sha: str
    """The base commit of the run that found it out."""
    run_id: str
    author: str
    """Who asked for that run."""
    created_at: str
    seen_at: str
    """When its citations were last found to hold."""
    approved: bool
    """False while only a run that was shown strangers' words vouches for it: such a fact is shown to no model."""


def line_hash(line: str) -> str:
    """What a line says, whatever its indentation."""
    return hashlib.sha256(line.strip().encode("utf-8", "surrogatepass")).hexdigest()[:24]


def cited(path: str, line: int, data: bytes) -> Citation:
    """The citation of a line.

    Raises:
        ValueError: There is no such line, or it says too little.
    """
    lines = data.decode("utf-8", "replace").splitlines()
    if not 1 <= line <= len(lines):
        raise ValueError(f"{path} has {len(lines)} lines, not {line}")
    if len(lines[line - 1].strip()) < MIN_LINE_CHARS:
        raise ValueError(f"line {line} of {path} says too little to bear anything out; cite another")
    return Citation(path=path, line=line, line_hash=line_hash(lines[line - 1]))


def standing(facts: Iterable[Fact], read: Read) -> list[Fact]:
    """The facts whose cited lines all still stand somewhere in their files."""
    hashes: dict[str, frozenset[str]] = {}
    kept: list[Fact] = []
    for fact in facts:
        for path in {citation.path for citation in fact.citations} - hashes.keys():
            data = read(path) or b""
            hashes[path] = frozenset(line_hash(line) for line in data.decode("utf-8", "replace").splitlines())
        if all(citation.line_hash in hashes[citation.path] for citation in fact.citations):
            kept.append(fact)
    return kept
