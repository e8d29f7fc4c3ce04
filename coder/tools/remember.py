"""Keeping a fact about the repository for later runs."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from pydantic import Field

from coder.errors import JournalError
from coder.memory.facts import MAX_FACT_CHARS, Citation, Fact, cited
from coder.memory.store import MemoryStore
from coder.tools.base import Arguments
from coder.tools.files import reason
from coder.types import ToolOutput


class Place(Arguments):
    """A line that bears the fact out."""

    path: str = Field(description="File, relative to the repository root.")
    line: int = Field(ge=1, description="Line number in it.")


class RememberArguments(Arguments):
    """Arguments of `remember`."""

    fact: str = Field(min_length=10, max_length=MAX_FACT_CHARS, description="One fact, in one or two sentences.")
    citations: list[Place] = Field(
        min_length=1, max_length=4, description="Lines of the repository that bear it out; it is dropped when they go."
    )


@dataclass(frozen=True, slots=True)
class Origin:
    """Whose run it is that remembers."""

    repo: str
    commit_sha: str
    run_id: str
    author: str


class Files(Protocol):
    """Whatever reads files; a sandbox is."""

    def read(self, path: str) -> bytes:
        """A file's bytes; raises as `Sandbox.read` does."""
        ...


class Remember:
    """Write a fact down for later runs."""

    name = "remember"
    arguments = RememberArguments
    mutates = False

    def __init__(
        self,
        files: Files,
        store: MemoryStore,
        origin: Origin,
        *,
        trusted: Callable[[], bool],
        redact: Callable[[str], str],
        now: Callable[[], str],
    ) -> None:
        """`trusted` says whether all that the model was told so far comes from people who may write to the repository."""
        self._files, self._store, self._origin = files, store, origin
        self._trusted, self._redact, self._now = trusted, redact, now

    def run(self, arguments: RememberArguments) -> ToolOutput:
        """Whether it was kept."""
        try:
            citations = tuple(self._cited(place) for place in arguments.citations)
        except (OSError, ValueError) as exc:
            return ToolOutput(content=f"Not kept: {reason(exc)}", is_error=True)
        origin, now, approved = self._origin, self._now(), self._trusted()
        fact = Fact(
            repo=origin.repo,
            text=" ".join(self._redact(arguments.fact).split()),
            citations=citations,
            commit_sha=origin.commit_sha,
            run_id=origin.run_id,
            author=origin.author,
            created_at=now,
            seen_at=now,
            approved=approved,
        )
        try:
            self._store.add(fact)
        except JournalError as exc:
            return ToolOutput(content=f"Not kept: {exc}", is_error=True)
        return ToolOutput(content="Kept." if approved else "Kept; a maintainer has to approve it before it is used.")

    def _cited(self, place: Place) -> Citation:
        return cited(place.path, place.line, self._files.read(place.path))
