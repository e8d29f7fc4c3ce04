"""What a run is told of earlier ones."""

import logging

from coder.errors import JournalError
from coder.memory.facts import Read, standing
from coder.memory.store import MemoryStore

logger = logging.getLogger(__name__)

MAX_SHOWN = 20


def known(store: MemoryStore, repo: str, read: Read, now: str) -> tuple[str, ...]:
    """The approved facts that still stand in the tree that `read` reads, a line each, the newest first.

    A fact that has lost its lines is not shown; it is forgotten when no tree bears it out for long.
    """
    try:
        store.expire(now)
        kept = standing(store.facts(repo), read)
        store.seen([fact.id for fact in kept], now)
    except JournalError as exc:  # the work goes on without it
        logger.warning("no memory", extra={"repo": repo, "why": str(exc)})
        return ()
    shown = [fact for fact in kept if fact.approved][:MAX_SHOWN]
    return tuple(f"{fact.text} ({', '.join(sorted({c.path for c in fact.citations}))})" for fact in shown)
