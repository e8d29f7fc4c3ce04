"""Names of branches: computed by us, never taken from a model or an issue as they stand."""

import re
import unicodedata

from coder.types import Task

MAX_SLUG = 48


def branch_name(task: Task, title: str) -> str:
    """`coder/issue-12-slug` for `task`; the slug is what is left of `title` in `[a-z0-9-]`.

    The same task and title always give the same name, and no title gives an unsafe one. A prompt has no number:
    its name carries the start of the run's id.
    """
    label = {"issue": "issue", "review": "review", "check_failure": "check", "prompt": "run"}[task.kind]
    identity = str(task.number) if task.number is not None else _slug(task.run_id, 12) or "x"
    slug = _slug(title, MAX_SLUG)
    return f"coder/{label}-{identity}" + (f"-{slug}" if slug else "")


def _slug(text: str, limit: int) -> str:
    plain = unicodedata.normalize("NFKD", text[:2000]).encode("ascii", "ignore").decode().lower()
    words = re.findall(r"[a-z0-9]+", plain)
    slug = ""
    for word in words:
        longer = f"{slug}-{word}" if slug else word[:limit]
        if len(longer) > limit:
            break
        slug = longer
    # git refuses names that end in `.lock`; dots never get this far.
    return slug
