"""Drafts that wait for the checks of their commit, as they are looked at: when GitHub tells of a check, and now and then."""

from dataclasses import dataclass
from typing import Final

from webhooks.database import Database

WAIT_S: Final = 24 * 3600.0
"""A check that takes longer than a day is not waited for."""
BEGIN_S: Final = 15 * 60.0
"""GitHub begins checks within minutes of a push, or never."""
_FIRST_PAUSE_S: Final = 60.0
_LONGEST_PAUSE_S: Final = 3600.0
_MAX_DUE: Final = 50


@dataclass(frozen=True, slots=True)
class Wait:
    """A pull request (`thread` is `gh<repository>-<number>`), its run, the commit, and since when it is looked at."""

    thread: str
    run_id: str
    sha: str
    looks: int
    since_s: float

    @property
    def number(self) -> int:
        """The pull request."""
        return int(self.thread.rpartition("-")[2])


class Waits:
    """What is waited for. Times are seconds of the caller's clock."""

    def __init__(self, database: Database) -> None:
        self._rows = database.rows

    def begin(self, thread: str, run_id: str, sha: str) -> None:
        """Wait for the checks of `sha`; one that is waited for already goes on."""
        self._rows(
            "INSERT INTO waits (thread, run_id, sha) VALUES (?, ?, ?) ON CONFLICT (thread) DO UPDATE SET"
            " run_id = excluded.run_id, sha = excluded.sha, looks = 0, since_s = 0, due_s = 0 WHERE sha <> excluded.sha",
            (thread, run_id, sha),
        )

    def end(self, thread: str) -> None:
        """Wait no more."""
        self._rows("DELETE FROM waits WHERE thread = ?", (thread,))

    def of(self, thread: str) -> Wait | None:
        """What a pull request waits for."""
        return next(iter(self._found("thread = ?", (thread,))), None)

    def of_commit(self, repository: int, sha: str) -> Wait | None:
        """The pull request of a repository that waits for the checks of a commit."""
        return next(iter(self._found("sha = ? AND thread LIKE ?", (sha, f"gh{repository}-%"))), None)

    def take_due(self, *, now_s: float) -> tuple[Wait, ...]:
        """Those that it is time to look at; each comes again later, with pauses that double up to an hour."""
        found = self._found("due_s <= ? ORDER BY due_s LIMIT ?", (now_s, _MAX_DUE))
        for wait in found:
            pause_s = min(_FIRST_PAUSE_S * 2 ** min(wait.looks, 10), _LONGEST_PAUSE_S)
            self._rows(
                "UPDATE waits SET looks = looks + 1, due_s = ?, since_s = ? WHERE thread = ? AND sha = ?",
                (now_s + pause_s, wait.since_s or now_s, wait.thread, wait.sha),
            )
        return found

    def _found(self, where: str, values: tuple[object, ...]) -> tuple[Wait, ...]:
        rows = self._rows(f"SELECT thread, run_id, sha, looks, since_s FROM waits WHERE {where}", values)  # noqa: S608 - our own words
        return tuple(Wait(**row) for row in rows)
