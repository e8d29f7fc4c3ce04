"""What people said to a run that exists: comments, and reviews with their comments on lines."""

import logging
import re
from collections.abc import Callable, Iterator, Mapping

import github

from coder.errors import ForgeError
from coder.forge.config import GitHubSettings
from coder.forge.github_client import NOT_FOUND, UNPROCESSABLE, Client, reason
from coder.forge.github_problem import GHOST
from coder.forge.hidden import strip_hidden, strip_line
from coder.types import Followup, JsonObject, Note, RepoRef, ReviewThread

PAGE = 100
MAX_PAGES = 30

logger = logging.getLogger(__name__)

_REFERENCES = """query($owner: String!, $name: String!, $number: Int!) {
  repository(owner: $owner, name: $name) {
    issue(number: $number) {
      timelineItems(itemTypes: [CROSS_REFERENCED_EVENT], last: 50) {
        nodes { ... on CrossReferencedEvent {
          isCrossRepository willCloseTarget
          source { ... on PullRequest { number state author { login ... on User { databaseId } ... on Bot { databaseId } } } }
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
        client: Client,
        ref: RepoRef,
        settings: GitHubSettings,
        *,
        writes: Callable[[str], bool],
    ) -> None:
        self._client, self._ref, self._settings = client, ref, settings
        self._repo = client.repository(ref.full_name)
        self._writes = writes
        self._known: dict[str, bool] = {}

    def heard(self, followup: Followup, pull: int | None) -> Followup:
        """`followup` with hidden text taken out and trust as of now; a review with its comments."""
        note = self._note(followup.note)
        threads = tuple(t.model_copy(update={"note": self._note(t.note)}) for t in followup.threads)
        if followup.kind == "review" and not threads and pull is not None:
            threads = self._threads(pull, review_id(followup))
        return followup.model_copy(update={"note": note, "threads": threads})

    def review(self, pull: int, number: int) -> tuple[Note, ...]:
        """All that was said in one review, its comments on lines with their places."""
        found = self._client.read(f"/repos/{self._ref.full_name}/pulls/{pull}/reviews/{number}")
        by = (found.get("user") or {}).get("login") or GHOST
        whole = Note(author=str(by), body=str(found.get("body") or ""), created_at=str(found.get("submitted_at") or ""))
        lines = (
            one.note.model_copy(
                update={"body": f"On {strip_line(one.path)}, line {one.line or 'gone'}:\n\n{one.note.body}"}
            )
            for one in self._threads(pull, number)
        )
        return tuple(note for note in (self._note(whole), *lines) if note.body.strip() and note.trusted)

    def request_reviews(self, pull: int, logins: tuple[str, ...]) -> None:
        """Ask people for a review, one by one: GitHub refuses a whole list for one name that may not review."""
        for login in logins:  # GitHub keeps a request once, however often it is said
            try:
                self._repo.get_pull(pull).create_review_request(reviewers=[login])
            except github.GithubException as exc:
                if exc.status != UNPROCESSABLE:
                    raise
                logger.info("cannot ask for a review", extra={"login": login, "reason": reason(exc)})

    def reply(self, pull: int, replies: Mapping[int, str], marker: str, *, own_id: int) -> None:
        """Answer comments on lines; what carries the marker and is ours was answered already."""
        mine = (one for one in self._comments(pull) if (one.get("user") or {}).get("id") == own_id)
        done = {int(one.get("in_reply_to_id") or 0) for one in mine if marker in (one.get("body") or "")}
        for comment_id, text in replies.items():
            if comment_id in done:
                continue
            try:
                self._repo.get_pull(pull).create_review_comment_reply(comment_id, f"{text}\n\n{marker}")
            except github.GithubException as exc:
                if exc.status not in {NOT_FOUND, UNPROCESSABLE}:
                    raise
                # It was removed meanwhile; the others wait for their answers.
                logger.info("cannot answer a comment", extra={"comment": comment_id, "reason": reason(exc)})

    def open_pulls(self, number: int, *, own_id: int) -> list[int]:
        """Open pull requests of others who may write here that would close the issue: strangers keep nobody from working."""
        variables = {"owner": self._ref.owner, "name": self._ref.name, "number": number}
        _, data = self._client.graphql_query(_REFERENCES, variables)
        issue = data["data"]["repository"]["issue"]
        nodes = issue["timelineItems"]["nodes"] if isinstance(issue, dict) else []
        closing = [n for n in nodes if n and n.get("willCloseTarget") and not n.get("isCrossRepository")]
        sources = [n["source"] for n in closing if n.get("source")]
        others = [s for s in sources if (s.get("author") or {}).get("databaseId") != own_id]
        still = [s for s in others if s.get("state") == "OPEN"]
        return sorted(
            {int(s["number"]) for s in still if self._trusted(str((s.get("author") or {}).get("login", GHOST)))}
        )

    def _threads(self, pull: int, review: int) -> tuple[ReviewThread, ...]:
        """The comments of one review. GitHub's list of a review's own comments leaves their lines out."""
        mine = [one for one in self._comments(pull) if one.get("pull_request_review_id") == review]
        return tuple(self._thread(one) for one in mine[: self._settings.max_comments])

    def _thread(self, comment: JsonObject) -> ReviewThread:
        by = (comment.get("user") or {}).get("login") or GHOST
        note = Note(author=str(by), body=str(comment.get("body") or ""), created_at=str(comment["created_at"]))
        # A comment on a line that is gone has no line any more; a comment on a whole file never had one.
        line = comment.get("line") or None
        return ReviewThread(comment_id=int(comment["id"]), path=str(comment["path"]), line=line, note=self._note(note))

    def _comments(self, pull: int) -> Iterator[JsonObject]:
        """Comments on lines, oldest first. As they come: PyGithub asks again for each that lacks a line."""
        path = f"/repos/{self._ref.full_name}/pulls/{pull}/comments"
        for page in range(1, MAX_PAGES + 1):
            listed = self._client.read(path, {"per_page": str(PAGE), "page": str(page)})
            yield from listed
            if len(listed) < PAGE:
                return

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
