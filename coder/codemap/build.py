"""Reading into the index what it does not know yet."""

import logging
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress

from coder.codemap.content import is_written
from coder.codemap.documents import outlined
from coder.codemap.index import Index, Key
from coder.codemap.parse import Job, Parsers
from coder.codemap.parsed import Parsed
from coder.codemap.tree import ReadsAhead, Tree
from coder.errors import CoderError

logger = logging.getLogger(__name__)

_BATCH = 512
_BATCH_BYTES = 8 << 20
_AHEAD = 256

Watch = Callable[[int, int], bool]
"""Is told how many of how many blobs are stored, batch by batch; False ends the reading."""


def patient(_done: int, _total: int) -> bool:
    """Waits for the end, however long it takes."""
    return True


def build(tree: Tree, index: Index, missing: Mapping[Key, str], *, workers: int = 2, watch: Watch = patient) -> None:
    """Read, parse and store blobs in their order, in batches, so that what was done survives an end in the middle.

    Raises:
        CodeMapError: The index cannot be written, or no parser will start.
    """
    keys = list(missing)
    batch: dict[Key, Parsed] = {}
    size = done = 0

    def jobs() -> Iterator[Job]:
        for number, (key, source) in enumerate(_sources(tree, missing)):
            if source is not None and is_written(source, key[1]):
                yield Job(number, key[1], missing[key], source)
            elif source is not None:
                batch[key] = Parsed("skipped")

    with Parsers(workers) as pool:
        for job, parsed in pool.parse(jobs()):
            batch[keys[job.key]] = parsed or outlined(job.source, "unparsed", job.path)
            size += len(job.source)
            if len(batch) >= _BATCH or size >= _BATCH_BYTES:
                index.add(batch)
                done += len(batch)
                batch.clear()
                size = 0
                if not watch(done, len(missing)):
                    break
    index.add(batch)
    logger.info("code map index grew", extra={"blobs": done + len(batch)})


def _sources(tree: Tree, missing: Mapping[Key, str]) -> Iterator[tuple[Key, bytes | None]]:
    """The bytes of each blob; None for one that cannot be read, which must not cost the map."""
    keys = list(missing)
    for at, key in enumerate(keys):
        if at % _AHEAD == 0 and isinstance(tree, ReadsAhead):
            with suppress(CoderError):  # the file that is missing is told when it is read
                tree.read_ahead([missing[one] for one in keys[at : at + _AHEAD]])
        yield key, _read(tree, missing[key])


def _read(tree: Tree, path: str) -> bytes | None:
    """A file's bytes; None when it cannot be read, which must not cost the map."""
    try:
        return tree.read(path)
    except (OSError, CoderError) as exc:
        logger.warning("file cannot be read", extra={"path": path, "error": str(exc)})
        return None
