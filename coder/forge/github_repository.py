"""One repository at GitHub: looks before it writes, so that whatever is done twice is done once."""

import logging
import re
from collections.abc import Sequence
from typing import Any
from urllib.parse import urlsplit

import github
from github.IssueComment import IssueComment
from github.PullRequest import PullRequest
from github.Repository import Repository

from coder.errors import ForgeError, ForgeRefusedError
from coder.forge.config import GitHubSettings
from coder.forge.github_checks import CommitChecks
from coder.forge.github_client import (
    FAILURES,
    MOVED,
    NOT_FOUND,
    UNPROCESSABLE,
    Client,
    author,
    moved_to,
    reason,
    status_of,
    wait_before_repeating,
)
from coder.forge.github_reviews import People
from coder.types import Base, Proposal, RepoRef, Task

logger = logging.getLogger(__name__)

MAX_BODY = 65_536  # GitHub's limit, in characters
MAX_TITLE = 256
SHA = re.compile(r"[0-9a-f]{40}\Z")
MAY_WRITE = frozenset({"admin", "maintain", "write"})
_NAME = re.compile(r"(?!\.{1,2}\Z)[A-Za-z0-9._-]{1,100}\Z")
_REF = re.compile(r"(?!/)(?!.*(?:\.\.|//|@\{))[^\x00-\x20\x7f~^:?*\[\\]{1,255}\Z")
_PULL = re.compile(r"pull/(\d{1,19})/(head|base)\Z")
_LOGIN = re.compile(r"[A-Za-z0-9-]{1,60}(?:_[A-Za-z0-9]{1,20})?(?:\[bot\])?\Z")


class RepositoryAccess:
    """What the forge does in one repository. Failures of PyGithub pass through; the forge translates them."""

    def __init__(self, client: Client, ref: RepoRef, settings: GitHubSettings) -> None:
        self.ref = checked(ref)
        self._client = client
        self._repo = client.repository(ref.full_name)
        self._settings = settings

    def writes(self, login: str) -> bool:
        """Whether `login` may write, asked now; somebody whom GitHub does not know may not."""
        if not _LOGIN.match(login):
            return False
        try:
            if login.endswith("[bot]") and self._settings.allowed_bots:  # Apps are no collaborators: GitHub knows none
                return self._client.user(login).id in self._settings.allowed_bots
            return self._repo.get_collaborator_permission(login) in MAY_WRITE
        except github.UnknownObjectException:
            return False

    def people(self) -> People:
        """What people said to a run, and what is said to them."""
        return People(self._client, self.ref, self._settings, writes=self.writes)

    def co_author(self, login: str) -> str:
        """`NAME <ADDRESS>` as GitHub knows commits of `login` by; empty for an account that is gone."""
        if not _LOGIN.match(login):
            return ""
        try:
            number = self._client.user(login).id
        except github.UnknownObjectException:
            return ""
        host = urlsplit(self._settings.git_url).hostname or "github.com"
        return f"{login} <{number}+{login}@users.noreply.{host}>"

    def base(self, ref: str | None) -> Base:
        """The branch `ref`, or the default branch; a full commit id stands for itself, on the default branch."""
        if ref is not None and not _REF.match(ref):
            raise ForgeRefusedError(
                f"cannot find {ref[:100]!r} of {self.ref.full_name}: not the name of a branch or a full commit id"
            )
        if ref is not None and (pull := _PULL.match(ref)):
            return _pulls_base(self._repo, int(pull[1]), pull[2])
        name = ref
        if ref is None or SHA.match(ref):
            name = self._repo.default_branch
        if ref is not None and SHA.match(ref):
            return Base(ref=str(name), sha=self._repo.get_commit(ref).complete().sha)
        sha = self._repo.get_git_ref(f"heads/{name}").object.sha
        if not SHA.match(sha):
            raise ForgeError(f"GitHub gave no commit for branch {name!r} of {self.ref.full_name}")
        return Base(ref=str(name), sha=sha)

    def react(self, task: Task, content: str) -> None:
        """React to the comment that asked, or to the issue; what is gone needs no reaction. GitHub keeps one of a kind."""
        if task.number is None:
            return
        if task.comment_id is not None:
            try:
                self._repo.get_issue(task.number).get_comment(task.comment_id).create_reaction(content)
            except github.UnknownObjectException:
                logger.info("the comment that asked is gone", extra={"comment_id": task.comment_id})
            else:
                return
        self._repo.get_issue(task.number).create_reaction(content)

    def status(self, number: int, marker: str, text: str, *, own_id: int, known: int | None) -> int:
        """Create or edit the one comment that has `marker` and is ours; its id. `known` is its id if known."""
        comment = self._known(number, known) or self._marked(number, marker, own_id)
        if comment is None:
            return self._repo.get_issue(number).create_comment(text).id
        if comment.body != text:
            comment.edit(text)
        return comment.id

    def pull(self, proposal: Proposal, commit_sha: str) -> PullRequest:
        """The pull request of the proposal's branch: found, else opened; then made to say what the proposal says."""
        pull = self._pull(proposal.branch, commit_sha) or self._repo.create_pull(
            base=proposal.base_ref,
            head=proposal.branch,
            title=proposal.title[:MAX_TITLE],
            body=proposal.body[:MAX_BODY],
            draft=proposal.draft,
        )
        if pull.state == "open":
            if (pull.title, pull.body or "") != (proposal.title[:MAX_TITLE], proposal.body[:MAX_BODY]):
                pull.edit(title=proposal.title[:MAX_TITLE], body=proposal.body[:MAX_BODY])
            # Who made it ready meanwhile need not wait for checks again.
            if pull.draft != proposal.draft and not proposal.awaits_checks:
                _flip(pull, draft=proposal.draft)
        return pull

    def release(self, number: int, commit_sha: str) -> None:
        """Make a draft ready, unless it is closed or somebody pushed to it."""
        pull = self._repo.get_pull(number).complete()
        if pull.state == "open" and pull.draft and pull.head.sha == commit_sha:
            _flip(pull, draft=False)

    def mark(self, number: int, label: str, *, instead_of: frozenset[str]) -> None:
        """Put `label` on, if it is one, and take off those of `instead_of` that are there; GitHub's labels ignore case."""
        issue = self._repo.get_issue(number)
        present = [one.name for one in issue.get_labels()]
        for name in present:
            if name.lower() in instead_of and name.lower() != label.lower():
                try:
                    issue.remove_from_labels(name)
                except FAILURES as exc:
                    if status_of(exc) != NOT_FOUND:
                        self._do_without("remove", name, exc)
        if label and label.lower() not in {name.lower() for name in present}:
            self.label(number, [label])

    def label(self, number: int, labels: Sequence[str]) -> None:
        """Put labels on; GitHub keeps each once, however often it is given."""
        # PyGithub sends a bare list, which GitHub does not describe.
        path = f"/repos/{self.ref.full_name}/issues/{number}/labels"
        try:
            self._client.requestJsonAndCheck("POST", path, input={"labels": list(labels)})
        except FAILURES as exc:
            self._do_without("add", ", ".join(labels), exc)

    def checks(self) -> CommitChecks:
        """The checks of its commits."""
        return CommitChecks(self._client, self.ref, self._settings)

    def _do_without(self, what: str, label: str, exc: Exception) -> None:
        """A label that we may not touch is not worth a failed run; what may pass is tried again."""
        if status_of(exc) != UNPROCESSABLE and wait_before_repeating(exc, 1, self._settings) is not None:
            raise exc
        logger.warning("cannot change a label", extra={"what": what, "label": label, "reason": reason(exc)})

    def _known(self, number: int, comment_id: int | None) -> IssueComment | None:
        if comment_id is None:
            return None
        try:
            return self._repo.get_issue(number).get_comment(comment_id).complete()
        except github.UnknownObjectException:
            return None

    def _marked(self, number: int, marker: str, own_id: int) -> IssueComment | None:
        """Marker and author both: anybody can copy a marker."""
        for comment in self._repo.get_issue(number).get_comments():
            by = author(comment)
            if by is not None and by.id == own_id and marker in (comment.body or ""):
                return comment
        return None

    def _pull(self, branch: str, commit_sha: str) -> PullRequest | None:
        """The open pull request of the branch, or a closed one that had just this commit: a person closed it."""
        pulls = list(self._repo.get_pulls(state="all", head=f"{self.ref.owner}:{branch}"))
        # A fork may have a branch of the same name.
        ours = [pull for pull in pulls if pull.head.label.lower() == f"{self.ref.owner}:{branch}".lower()]
        open_ones = [pull for pull in ours if pull.state == "open"]
        same = [pull for pull in ours if pull.head.sha == commit_sha]
        return next(iter([*open_ones, *same]), None)


def _pulls_base(repo: Repository, number: int, side: str) -> Base:
    """A pull request's branch and commit of one side; of a fork's head only the commit is of use here."""
    pull = repo.get_pull(number).complete()
    if side == "base":
        return Base(ref=pull.base.ref, sha=pull.base.sha)
    source: Any = pull.head.repo  # none where the fork is gone
    if source is not None and source.id == pull.base.repo.id:
        return Base(ref=pull.head.ref, sha=pull.head.sha)
    return Base(ref=pull.base.ref, sha=pull.head.sha, foreign=True)


def _flip(pull: PullRequest, *, draft: bool) -> None:
    """Make a draft of it, or no draft any more."""
    if draft:
        pull.convert_to_draft()
    else:
        pull.mark_ready_for_review()


def renamed(client: Client, ref: RepoRef, api_url: str, *, repository_id: int | None) -> RepoRef:
    """What the repository `ref` is called now, of which GitHub said that it moved.

    Raises:
        ForgeRefusedError: It has not moved, or is not the repository `repository_id`, or GitHub points elsewhere.
    """
    try:
        client.read(f"/repos/{ref.full_name}")
    except github.GithubException as exc:
        if exc.status not in MOVED:
            raise
        found = moved_to(exc, api_url)
    else:
        raise ForgeRefusedError(f"what was asked for is in {ref.full_name} no more: it was moved to another repository")
    if found is None or found[1] or repository_id not in {None, found[0]}:
        raise ForgeRefusedError(f"{ref.full_name} is another repository now; ask again where the issue is")
    data = client.read(f"/repositories/{found[0]}")
    owner, _, name = str(data["full_name"]).partition("/")
    logger.info("repository was renamed", extra={"repo": ref.full_name, "to": f"{owner}/{name}"})
    return checked(RepoRef(owner=owner, name=name))


def checked(ref: RepoRef) -> RepoRef:
    """`ref`, whose names are safe to put into a URL.

    Raises:
        ForgeRefusedError: They are not.
    """
    if not (_NAME.match(ref.owner) and _NAME.match(ref.name)):
        raise ForgeRefusedError(f"not a repository: {ref.full_name[:100]!r}")
    return ref
