"""What is to be said at GitHub, and what people said to runs that work: kept until it is done or taken."""

from collections.abc import Sequence
from typing import Final

from coder.types import Followup
from webhooks.database import Database
from webhooks.work import URGENCY, Chore

_MAX_ON: Final = 24
"""Pull requests that one failed check is looked for among."""


def insert_chore(database: Database, chore: Chore, *, created_at: str) -> None:
    """Keep a chore; one that is known stays what it is, also when it is done."""
    database.rows(
        "INSERT OR IGNORE INTO chores (id, urgency, chore, created_at) VALUES (?, ?, ?, ?)",
        (chore.id, URGENCY.index(chore.kind), chore.model_dump_json(), created_at),
    )


class Outbox:
    """Chores, the most urgent first, then the oldest. Times are seconds of the caller's clock."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def add(self, chore: Chore, *, created_at: str) -> None:
        """Keep a chore; one that is known stays what it is, also when it is done."""
        insert_chore(self._database, chore, created_at=created_at)

    def next(self, *, now_s: float) -> tuple[Chore, int] | None:
        """The chore to do now, and how often it was tried; None when there is none."""
        rows = self._database.rows(
            "SELECT chore, attempts FROM chores WHERE done = 0 AND due_s <= ? ORDER BY urgency, rowid LIMIT 1", (now_s,)
        )
        return (Chore.model_validate_json(rows[0]["chore"]), int(rows[0]["attempts"])) if rows else None

    def done(self, chore_id: str) -> None:
        """It is done, or given up; its id stays for a while, so that it is not done again."""
        self._database.rows("UPDATE chores SET done = 1, chore = '' WHERE id = ?", (chore_id,))

    def later(self, chore_id: str, *, due_s: float) -> None:
        """It failed, and is tried again from `due_s` on."""
        self._database.rows("UPDATE chores SET attempts = attempts + 1, due_s = ? WHERE id = ?", (due_s, chore_id))

    def waiting(self) -> int:
        """How many chores are not done."""
        return int(self._database.rows("SELECT count(*) AS n FROM chores WHERE done = 0")[0]["n"])


class Inbox:
    """What permitted people said to a run while it works. The run takes each once, by its id."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def put(self, run_id: str, followup: Followup, *, created_at: str) -> None:
        """Pass something on; saying it twice is saying it once."""
        self._database.rows(
            "INSERT OR IGNORE INTO inbox (run_id, followup_id, followup, created_at) VALUES (?, ?, ?, ?)",
            (run_id, followup.id, followup.model_dump_json(), created_at),
        )

    def of(self, run_id: str) -> tuple[Followup, ...]:
        """All that was said to the run, oldest first."""
        rows = self._database.rows("SELECT followup FROM inbox WHERE run_id = ? ORDER BY rowid", (run_id,))
        return tuple(Followup.model_validate_json(row["followup"]) for row in rows)


class Switches:
    """Automatic fixes, as people turned them on and off for an issue or pull request (`gh<repository>-<number>`)."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def turn(self, thread: str, *, on: bool, by: str) -> None:
        """Set it."""
        self._database.rows(
            "INSERT INTO switches (thread, autofix, login) VALUES (?, ?, ?)"
            " ON CONFLICT (thread) DO UPDATE SET autofix = excluded.autofix, login = excluded.login",
            (thread, int(on), by),
        )

    def who(self, thread: str) -> str:
        """Who said it last for just this thread; empty where nobody did."""
        rows = self._database.rows("SELECT login FROM switches WHERE thread = ?", (thread,))
        return str(rows[0]["login"]) if rows else ""

    def on(self, repository: str) -> tuple[tuple[int, str], ...]:
        """Where fixes were turned on in a repository (`gh<repository>`), and by whom; the latest, some dozen at most."""
        rows = self._database.rows(
            "SELECT thread, login FROM switches WHERE autofix = 1 AND thread LIKE ? ORDER BY rowid DESC LIMIT ?",
            (f"{repository}-%", _MAX_ON),
        )
        return tuple((int(row["thread"].rpartition("-")[2]), str(row["login"])) for row in rows)

    def autofix(self, threads: Sequence[str]) -> bool | None:
        """What was said for the first of `threads` that anything was said for."""
        for thread in threads:
            if rows := self._database.rows("SELECT autofix FROM switches WHERE thread = ?", (thread,)):
                return bool(rows[0]["autofix"])
        return None
