"""What people said to a run that exists: comments, and reviews with their comments on lines."""

import logging
import re
from collections.abc import Callable, Mapping

import github
from github.PullRequestComment import PullRequestComment

from coder.errors import ForgeError
from coder.forge.config import GitHubSettings
from coder.forge.github_client import UNPROCESSABLE, author, once, reason
from coder.forge.github_problem import GHOST, rfc3339
from coder.forge.hidden import strip_hidden, strip_line
from coder.types import Followup, Note, RepoRef, ReviewThread

logger = logging.getLogger(__name__)

_REFERENCES = """query($owner: String!, $name: String!, $number: Int!) {
  repository(owner: $owner, name: $name) {
    issue(number: $number) {
      timelineItems(itemTypes: [CROSS_REFERENCED_EVENT], last: 50) {
        nodes { ... on CrossReferencedEvent {
          isCrossRepository willCloseTarget
          source { ... on PullRequest { number state author { ... on User { databaseId } ... on Bot { databaseId } } } }
        } }
      }
    }
  }
}"""


class People:
    """What people of one repository say, and what is said to them. PyGithub's failures pass through.

    `writes` says whether a login may write to it, and is asked once for each.
    """

    def __init__(
        self,
        client: github.Github,
        ref: RepoRef,
        settings: GitHubSettings,
        *,
        writes: Callable[[str], bool],
        pause: Callable[[float], None],
    ) -> None:
        self._client, self._ref, self._settings = client, ref, settings
        self._repo = client.get_repo(ref.full_name)
        self._writes, self._pause = writes, pause
        self._known: dict[str, bool] = {}

    def heard(self, followup: Followup, pull: int | None) -> Followup:
        """`followup` with hidden text taken out and trust as of now; a review with its comments."""
        note = self._note(followup.note)
        threads = tuple(t.model_copy(update={"note": self._note(t.note)}) for t in followup.threads)
        if followup.kind == "review" and not threads and pull is not None:
            threads = self._threads(pull, review_id(followup))
        return followup.model_copy(update={"note": note, "threads": threads})

    def request_reviews(self, pull: int, logins: tuple[str, ...]) -> None:
        """Ask people for a review, one by one: GitHub refuses a whole list for one name that may not review."""
        for login in logins:
            try:
                self._repo.get_pull(pull).create_review_request(reviewers=[login])
            except github.GithubException as exc:
                if exc.status != UNPROCESSABLE:
                    raise
                logger.info("cannot ask for a review", extra={"login": login, "reason": reason(exc)})

    def reply(self, pull: int, replies: Mapping[int, str], marker: str, *, own_id: int) -> None:
        """Answer comments on lines; what carries the marker and is ours was answered already."""

        def answered() -> set[int]:
            mine = (one for one in self._repo.get_pull(pull).get_review_comments() if marker in (one.body or ""))
            return {one.in_reply_to_id for one in mine if (by := author(one)) is not None and by.id == own_id}

        done = answered()
        for comment_id, text in replies.items():
            if comment_id in done:
                continue
            once(
                look=lambda target=comment_id: True if target in answered() else None,  # type: ignore[misc]  # bound early on purpose
                write=lambda target=comment_id, said=text: bool(  # type: ignore[misc]  # bound early on purpose
                    self._repo.get_pull(pull).create_review_comment_reply(target, f"{said}\n\n{marker}")
                ),
                pause=self._pause,
                settings=self._settings,
            )

    def open_pulls(self, number: int, *, own_id: int) -> list[int]:
        """Open pull requests of others in this repository that would close the issue."""
        variables = {"owner": self._ref.owner, "name": self._ref.name, "number": number}
        _, data = self._client.requester.graphql_query(_REFERENCES, variables)
        issue = data["data"]["repository"]["issue"]
        nodes = issue["timelineItems"]["nodes"] if isinstance(issue, dict) else []
        closing = [n for n in nodes if n and n.get("willCloseTarget") and not n.get("isCrossRepository")]
        sources = [n["source"] for n in closing if n.get("source")]
        others = [s for s in sources if (s.get("author") or {}).get("databaseId") != own_id]
        return sorted({int(s["number"]) for s in others if s.get("state") == "OPEN"})

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
