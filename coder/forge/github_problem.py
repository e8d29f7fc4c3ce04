"""The problem as it stood when somebody with permission asked for it.

Whoever labels an issue approves the text that stood there. What came or changed afterwards was approved by nobody, and what
strangers added was perhaps not read: both are withheld and listed.
"""

import re
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from github.Issue import Issue
from github.IssueComment import IssueComment

from coder.errors import ForgeError
from coder.forge.config import GitHubSettings
from coder.forge.github_client import Client, author
from coder.forge.hidden import strip_hidden, strip_line
from coder.types import Note, Problem, Task

GHOST = "ghost"  # what GitHub shows for accounts that are gone
EDITS = """query($owner: String!, $name: String!, $number: Int!) {
  repository(owner: $owner, name: $name) {
    issueOrPullRequest(number: $number) {
      ... on Issue {
        lastEditedAt
        timelineItems(itemTypes: [RENAMED_TITLE_EVENT], last: 50) {
          nodes { ... on RenamedTitleEvent { createdAt previousTitle } }
        }
      }
      ... on PullRequest {
        lastEditedAt
        timelineItems(itemTypes: [RENAMED_TITLE_EVENT], last: 50) {
          nodes { ... on RenamedTitleEvent { createdAt previousTitle } }
        }
      }
    }
  }
}"""


class Snapshot:
    """Reads one issue as of `task.requested_at`.

    `writes` says whether a login may write to the repository; `own_id` is our own account, whose comments are left out.
    """

    def __init__(
        self, client: Client, task: Task, settings: GitHubSettings, *, writes: Callable[[str], bool], own_id: int
    ) -> None:
        self._client = client
        self._task = task
        self._settings = settings
        self._writes = writes
        self._own_id = own_id
        self._asked_at = moment(task.requested_at)
        self._known: dict[str, bool] = {}
        self._withheld: list[str] = []

    def problem(self, issue: Issue) -> Problem:
        """What the model may be shown."""
        title, body = self._text(issue)
        login = self._login(issue)
        comments = tuple(filter(None, (self._note(comment) for comment in self._before(issue))))
        return Problem(
            kind=self._task.kind,
            title=strip_line(title),
            body=Note(
                author=login,
                body=self._clean(body, f"the text of #{issue.number}"),
                created_at=rfc3339(issue.created_at),
                trusted=self._trusted(login),
            ),
            comments=comments,
            number=issue.number,
            url=issue.html_url,
            withheld=tuple(self._withheld),
        )

    def _text(self, issue: Issue) -> tuple[str, str]:
        """Title and body as they were; GitHub tells old titles, but not old bodies."""
        title, body = strip_line(issue.title), issue.body or ""
        if issue.updated_at <= self._asked_at:
            return title, body
        edits = self._edits(issue.number)
        renames = [
            node for node in edits["timelineItems"]["nodes"] if node and moment(node["createdAt"]) > self._asked_at
        ]
        if renames:
            title = str(min(renames, key=lambda node: moment(node["createdAt"]))["previousTitle"])
            self._withheld.append("the title's change after the request (the earlier title is used)")
        edited = edits["lastEditedAt"]
        if edited is not None and moment(str(edited)) > self._asked_at:
            body = ""
            self._withheld.append(f"the text of #{issue.number}: edited after the request; ask again to include it")
        return title, body

    def _edits(self, number: int) -> dict[str, Any]:
        variables = {"owner": self._task.repo.owner, "name": self._task.repo.name, "number": number}
        _, data = self._client.graphql_query(EDITS, variables)
        found = data["data"]["repository"]["issueOrPullRequest"]
        if not isinstance(found, dict):
            raise ForgeError(f"GitHub does not tell when #{number} was edited")
        return found

    def _before(self, issue: Issue) -> list[IssueComment]:
        """The newest comments that were there when the request was made, oldest first."""
        made = [comment for comment in issue.get_comments() if self._foreign(comment)]
        before = [comment for comment in made if comment.created_at <= self._asked_at]
        if len(made) > len(before):
            self._withheld.append(f"{len(made) - len(before)} comments made after the request")
        limit = self._settings.max_comments
        if len(before) > limit:
            self._withheld.append(f"{len(before) - limit} older comments: more than {limit}")
        return before[max(len(before) - limit, 0) :]

    def _note(self, comment: IssueComment) -> Note | None:
        login = self._login(comment)
        label = f"a comment by {strip_line(login)} ({rfc3339(comment.created_at)})"
        if comment.updated_at > self._asked_at:
            self._withheld.append(f"{label}: edited after the request")
            return None
        if not self._trusted(login):
            self._withheld.append(f"{label}: no write permission")
            return None
        body = self._clean(comment.body or "", label)
        return Note(author=login, body=body, created_at=rfc3339(comment.created_at), trusted=True)

    def _foreign(self, comment: IssueComment) -> bool:
        by = author(comment)
        return by is None or by.id != self._own_id

    @staticmethod
    def _login(thing: Issue | IssueComment) -> str:
        by = author(thing)
        return by.login if by is not None else GHOST

    def _trusted(self, login: str) -> bool:
        if login == GHOST:
            return False
        if login not in self._known:
            # The cap bounds what a flood of commenters costs; beyond it nobody is trusted.
            self._known[login] = len(self._known) < self._settings.max_people and self._writes(login)
        return self._known[login]

    def _clean(self, text: str, where: str) -> str:
        cleaned = strip_hidden(text)
        if cleaned.removed:
            self._withheld.append(f"hidden parts of {where}: {', '.join(cleaned.removed)}")
        return cleaned.text


def prompted(task: Task) -> Problem:
    """The problem of a task that is about no issue."""
    body = Note(author=task.requested_by, body=task.prompt, created_at=task.requested_at, trusted=task.kind == "prompt")
    return Problem(kind=task.kind, title=strip_line(task.prompt_title), body=body)


def read_problem(
    client: Client, task: Task, settings: GitHubSettings, *, writes: Callable[[str], bool], own_id: int
) -> Problem:
    """The issue or pull request of `task`, which has a number, as it was asked for. PyGithub's failures pass through."""
    issue = client.repository(task.repo.full_name).get_issue(int(task.number or 0))
    return Snapshot(client, task, settings, writes=writes, own_id=own_id).problem(issue)


def moment(text: str) -> datetime:
    """An RFC 3339 time."""
    try:
        found = datetime.fromisoformat(re.sub(r"[zZ]$", "+00:00", text))
    except ValueError as exc:
        raise ForgeError(f"not an RFC 3339 time: {text[:40]!r}") from exc
    return found if found.tzinfo is not None else found.replace(tzinfo=UTC)


def rfc3339(when: datetime) -> str:
    """A time as it stands in our values."""
    return when.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
