"""What people said to a run that exists: comments, and reviews with their comments on lines."""

import re
from collections.abc import Callable

from github.PullRequestComment import PullRequestComment
from github.Repository import Repository

from coder.errors import ForgeError
from coder.forge.config import GitHubSettings
from coder.forge.github_client import author
from coder.forge.github_problem import GHOST, rfc3339
from coder.forge.hidden import strip_hidden, strip_line
from coder.types import Followup, Note, ReviewThread


class Said:
    """Reads follow-ups of one repository; `writes` says whether a login may write to it, and is asked once for each."""

    def __init__(self, repo: Repository, settings: GitHubSettings, *, writes: Callable[[str], bool]) -> None:
        self._repo, self._settings, self._writes = repo, settings, writes
        self._known: dict[str, bool] = {}

    def heard(self, followup: Followup, pull: int | None) -> Followup:
        """`followup` with hidden text taken out and trust as of now; a review with its comments. PyGithub's failures pass."""
        note = self._note(followup.note)
        threads = tuple(t.model_copy(update={"note": self._note(t.note)}) for t in followup.threads)
        if followup.kind == "review" and not threads and pull is not None:
            threads = self._threads(pull, review_id(followup))
        return followup.model_copy(update={"note": note, "threads": threads})

    def _threads(self, pull: int, review: int) -> tuple[ReviewThread, ...]:
        """The comments of one review. GitHub's list of a review's own comments leaves their lines out."""
        comments = self._repo.get_pull(pull).get_review_comments()
        mine = [one for one in comments if one.pull_request_review_id == review]
        return tuple(self._thread(one) for one in mine[: self._settings.max_comments])

    def _thread(self, comment: PullRequestComment) -> ReviewThread:
        by = author(comment)
        note = Note(
            author=by.login if by is not None else GHOST,
            body=comment.body or "",
            created_at=rfc3339(comment.created_at),
        )
        # A comment on a line that is gone has no line any more; a comment on a whole file never had one.
        return ReviewThread(comment_id=comment.id, path=comment.path, line=comment.line or None, note=self._note(note))

    def _note(self, note: Note) -> Note:
        author = strip_line(note.author) or GHOST
        return note.model_copy(
            update={"author": author, "body": strip_hidden(note.body).text, "trusted": self._trusted(note.author)}
        )

    def _trusted(self, login: str) -> bool:
        if login == GHOST:
            return False
        if login not in self._known:
            self._known[login] = len(self._known) < self._settings.max_people and self._writes(login)
        return self._known[login]


def review_id(followup: Followup) -> int:
    """The review that a follow-up is about: its id ends in it.

    Raises:
        ForgeError: It does not.
    """
    found = re.fullmatch(r"review-(\d{1,19})", followup.id)
    if found is None:
        raise ForgeError(f"cannot read the review {followup.id[:80]!r}: its id is not `review-NUMBER`")
    return int(found[1])
