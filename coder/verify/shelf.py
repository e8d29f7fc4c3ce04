"""Runs of the tests that are kept: for the same tree, image, command and environment they are taken again, not made again."""

import hashlib
import json
from collections.abc import Iterable
from typing import Final

from pydantic import ValidationError
from typing_extensions import override

from coder.errors import JournalError
from coder.sandbox.protocol import Image
from coder.trace.events import CellRun
from coder.trace.journal import Journal
from coder.types import Cell
from coder.verify.cells import ENVIRONMENT, CellName
from coder.verify.runners import TestCommand

_NAME_CHARS: Final = 12


def key_of(
    name: CellName, tree_sha: str, command: TestCommand, image: Image, *, again: bool = False, altered: str = ""
) -> str:
    """What a run is known by: runs of one key had the same files, programs, servers, variables and command.

    `again`: in a sandbox where the tests may have run before. `altered`: what was changed of the tree first, such as a part
    of a patch taken out.
    """
    line = command.line("")
    parts = [
        name,
        tree_sha,
        image.digest,
        image.services,
        image.egress,
        command.kind,
        line,
        again,
        altered,
        sorted(ENVIRONMENT.items()),
    ]
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()


class Shelf:
    """The runs that a journal tells of, if one is given, and those of this process."""

    def __init__(self, journal: Journal | None = None) -> None:
        self._cells: dict[str, list[Cell]] = {}
        for event in journal.events if journal is not None else ():
            if journal is not None and isinstance(event, CellRun):
                self._keep(event.key, _recorded(journal, event))

    def taken(self, key: str, number: int = 0) -> Cell | None:
        """The run of this key that was made after `number` others; it says that it was taken from before, and from where."""
        cells = self._cells.get(key, [])
        return cells[number] if number < len(cells) else None

    def put(self, key: str, cell: Cell) -> None:
        """Keep a run behind those of its key. One whose sandbox died is none."""
        if cell.exit_code is not None or cell.duration_s > 0:
            self._keep(key, cell)

    def _keep(self, key: str, cell: Cell) -> None:
        digest = hashlib.sha256(_text(cell)).hexdigest()
        self._cells.setdefault(key, []).append(cell.model_copy(update={"kept_as": digest}))


class JournalShelf(Shelf):
    """The same, and each new run goes into the journal: a process that goes on with it takes those of the one before.

    A run that was killed for its time is kept by the process only: on another day it may end in time.
    """

    def __init__(self, journal: Journal) -> None:
        super().__init__(journal)
        self._journal = journal

    @override
    def put(self, key: str, cell: Cell) -> None:
        super().put(key, cell)
        if cell.exit_code is not None:
            self._journal.append(CellRun(key=key, cell=cell.name, cell_blob=self._journal.put_blob(_text(cell))))


def _text(cell: Cell) -> bytes:
    return cell.model_dump_json().encode()


def _recorded(journal: Journal, event: CellRun) -> Cell:
    try:
        return Cell.model_validate_json(journal.blob(event.cell_blob))
    except ValidationError as exc:
        raise JournalError(f"run {journal.run_id}: a kept run of the tests cannot be read: {exc}") from exc


def taken_line(cells: Iterable[Cell]) -> str:
    """What people are told of runs that were taken from before; empty where none were."""
    taken = [f"{cell.name} (record {cell.kept_as[:_NAME_CHARS]})" for cell in cells if cell.kept_as]
    return f"taken from earlier runs of the same tree, image and command: {', '.join(taken)}" if taken else ""
