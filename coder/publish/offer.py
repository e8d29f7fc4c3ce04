"""A change as a comment, where nothing may be pushed."""

from coder.publish.sections import VERDICT_WORDS
from coder.publish.texts import Texts
from coder.types import Submission, Verdict

MAX_CHARS = 50_000
"""Of a patch in a comment; GitHub takes 65,536 in all."""


def offer(texts: Texts, *, verdict: Verdict, base_sha: str, diff: str, submission: Submission | None) -> str:
    """Verdict, the model's words, and the patch on `base_sha`; one that is too long, or not shown as it is, is said to be."""
    shown = texts.fence(diff, MAX_CHARS)
    if len(diff) > MAX_CHARS:
        shown = "It is too long for a comment."
    elif texts.clean(diff, MAX_CHARS) != diff:
        shown += "\n\nIt is shown without what cannot be seen or looks like a secret, and may not apply."
    words = submission.summary if submission else "The work was not handed in."
    return (
        f"{VERDICT_WORDS[verdict.kind]} The branch is in a fork, so nothing was pushed; the patch is one on {base_sha}.\n\n"
        f"{texts.quote(words, 3_000)}\n\n<details><summary>The patch</summary>\n\n{shown}\n\n</details>"
    )
