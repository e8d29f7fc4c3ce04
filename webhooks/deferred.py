"""Requests that nothing can be decided of yet, kept until it can."""

from typing import Final

from webhooks.database import Database
from webhooks.request import Request, Source, as_json, from_json

MAX_OF_ONE: Final = 20
"""Requests of one person that are kept: a flood while GitHub is away must not be decided over and over."""


class Deferred:
    """Each by where it came from, so that what is kept twice is kept once."""

    def __init__(self, database: Database) -> None:
        self._rows = database.rows

    def keep(self, source: Source, request: Request) -> None:
        """Keep a request, unless its sender has many that wait already."""
        sender = "SELECT count(*) AS n FROM deferred WHERE json_extract(request, '$.sender') = ?"
        if int(self._rows(sender, (request.sender,))[0]["n"]) >= MAX_OF_ONE:
            return
        self._rows(
            "INSERT OR IGNORE INTO deferred (digest, event, guid, repo, request) VALUES (?, ?, ?, ?, ?)",
            (source.digest, source.event, source.guid, source.repo, as_json(request)),
        )

    def drop(self, source: Source) -> None:
        """It is decided."""
        self._rows("DELETE FROM deferred WHERE digest = ? AND event = ?", (source.digest, source.event))

    def all(self) -> tuple[tuple[Source, Request], ...]:
        """What is kept, the oldest first."""
        rows = self._rows("SELECT digest, event, guid, repo, request FROM deferred ORDER BY rowid")
        kept = ((from_json(row.pop("request")), Source(**row)) for row in rows)
        return tuple((source, request) for request, source in kept)
