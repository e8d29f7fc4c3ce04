"""Which steps of a run made the change of each file what it is, from the checkpoints' diffs."""

import hashlib
import re
from collections.abc import Callable, Iterable, Mapping

from coder.trace.events import Event, Reopened, ToolFinished

_FILE = re.compile(rb"(?m)^diff --git a/(.+) b/\1$")


def made_in(events: Iterable[Event], blob: Callable[[str], bytes]) -> Mapping[str, tuple[int, ...]]:
    """By path the steps after which its difference from base was another one, in order.

    `blob` gives a checkpoint's diff. Files with names that git quotes are left out.
    """
    known: dict[str, str] = {}
    found: dict[str, list[int]] = {}
    for event in events:
        if isinstance(event, Reopened):
            known = _parts(blob(event.checkpoint.diff_blob)) if event.checkpoint else {}
        if not isinstance(event, ToolFinished) or event.checkpoint is None:
            continue
        parts = _parts(blob(event.checkpoint.diff_blob))
        for path in {*known, *parts}:
            if parts.get(path) != known.get(path) and (not found.get(path) or found[path][-1] != event.step):
                found.setdefault(path, []).append(event.step)
        known = parts
    return {path: tuple(steps) for path, steps in found.items()}


def _parts(diff: bytes) -> dict[str, str]:
    """Each file's part of a diff, by what it is worth comparing: its hash."""
    heads = list(_FILE.finditer(diff))
    ends = [head.start() for head in heads[1:]] + [len(diff)]
    return {
        head[1].decode("utf-8", "replace"): hashlib.sha256(diff[head.start() : end]).hexdigest()
        for head, end in zip(heads, ends, strict=False)
    }
