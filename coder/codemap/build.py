"""Reading into the index what it does not know yet."""

import logging
from collections.abc import Iterator, Mapping

from coder.codemap.content import is_written
from coder.codemap.documents import outlined
from coder.codemap.index import Index, Key
from coder.codemap.parse import Job, Parsers
from coder.codemap.parsed import Parsed
from coder.codemap.tree import Tree
from coder.errors import CoderError

logger = logging.getLogger(__name__)

_BATCH = 256
_BATCH_BYTES = 4 << 20


def build(tree: Tree, index: Index, missing: Mapping[Key, str], *, workers: int = 2) -> None:
    """Read, parse and store blobs, in batches, so that what was done survives an end in the middle.

    Raises:
        CodeMapError: The index cannot be written, or no parser will start.
    """
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

    with Parsers(workers) as pool:
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
