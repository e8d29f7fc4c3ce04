"""`coder memory`: what runs have found out about repositories, shown to people, who may approve and drop it."""

from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path

from coder.errors import InputError
from coder.memory.facts import Fact
from coder.memory.store import MemoryStore


def manage(
    path: Path, action: str, numbers: Sequence[int], *, repo: str, now: str, echo: Callable[[str], None]
) -> None:
    """List, approve or forget facts.

    Raises:
        InputError: There is no such action, or no fact was named.
    """
    if action not in {"list", "approve", "forget"}:
        raise InputError(f"there is no `coder memory {action}`; say list, approve or forget")
    if action != "list" and not numbers:
        raise InputError(f"say which facts to {action}, by the numbers that `coder memory list` shows")
    with closing(MemoryStore(path)) as store:
        store.expire(now)
        if action == "list":
            for fact in store.facts(repo):
                echo(_line(fact))
            return
        count = store.approve(list(numbers)) if action == "approve" else store.forget(list(numbers))
    echo(f"{action}: {count} of {len(numbers)}")


def _line(fact: Fact) -> str:
    places = ", ".join(f"{citation.path}:{citation.line}" for citation in fact.citations)
    waits = "" if fact.approved else " WAITS FOR `coder memory approve`"
    text = "".join(c if c.isprintable() else "�" for c in fact.text)
    return f"{fact.id}  {fact.repo}  {text}  ({places} at {fact.commit_sha[:12]}, run {fact.run_id}, asked for by {fact.author}){waits}"
