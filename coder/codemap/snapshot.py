"""A tree as the index knows it: which of its files are read, and reading those that are new."""

import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from coder.codemap.content import is_written
from coder.codemap.documents import outlined
from coder.codemap.index import Index, Key, Row
from coder.codemap.languages import language_of
from coder.codemap.parse import Job, Parsers
from coder.codemap.parsed import Parsed
from coder.codemap.paths import is_worth_reading
from coder.codemap.tree import Tree
from coder.errors import CoderError

logger = logging.getLogger(__name__)

_BATCH = 256
_BATCH_BYTES = 4 << 20


@dataclass(frozen=True, slots=True)
class File:
    """A file of a tree that can be searched."""

    path: str
    sha: str
    language: str
    row: Row


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The files of a tree in order of their paths, and their rows in the index."""

    files: tuple[File, ...]

    def by_blob(self) -> dict[int, list[File]]:
        """The files of each blob; several when a file was copied."""
        found: dict[int, list[File]] = {}
        for file in self.files:
            found.setdefault(file.row.id, []).append(file)
        return found


def snapshot(tree: Tree, index: Index, parsers: Callable[[], Parsers]) -> Snapshot:
    """`tree` in the index; what the index did not know is read and parsed first."""
    files = [(path, (sha, language_of(path))) for path, sha in sorted(tree.files().items()) if is_worth_reading(path)]
    keys = {key: path for path, key in reversed(files)}
    rows = index.rows(keys)
    missing = {key: path for key, path in keys.items() if key not in rows}
    if missing:
        _build(tree, index, missing, parsers)
        rows.update(index.rows(missing))
    return Snapshot(
        tuple(File(path, *key, rows[key]) for path, key in files if key in rows and rows[key].status != "skipped")
    )


def _build(tree: Tree, index: Index, missing: dict[Key, str], parsers: Callable[[], Parsers]) -> None:
    """Read, parse and store blobs, in batches, so that what was done survives an end in the middle."""
    keys = sorted(missing, key=lambda key: missing[key])
    batch: dict[Key, Parsed] = {}
    size = 0

    def jobs() -> Iterator[Job]:
        for number, key in enumerate(keys):
            source = _read(tree, missing[key])
            if source is None:
                continue
            if is_written(source, key[1]):
                yield Job(number, key[1], missing[key], source)
            else:
                batch[key] = Parsed("skipped")

    with parsers() as pool:
        for job, parsed in pool.parse(jobs()):
            batch[keys[job.key]] = parsed or outlined(job.source, "unparsed", job.path)
            size += len(job.source)
            if len(batch) >= _BATCH or size >= _BATCH_BYTES:
                index.add(batch)
                batch.clear()
                size = 0
    index.add(batch)
    logger.info("code map index grew", extra={"blobs": len(keys)})


def _read(tree: Tree, path: str) -> bytes | None:
    """A file's bytes; None when it cannot be read, which must not cost the map."""
    try:
        return tree.read(path)
    except (OSError, CoderError) as exc:
        logger.warning("file cannot be read", extra={"path": path, "error": str(exc)})
        return None
