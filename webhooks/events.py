"""What can be delivered: the few fields of each event that are needed. `webhooks.reading` makes them from payloads."""

from dataclasses import dataclass, field

from coder.types import JsonObject


@dataclass(frozen=True, slots=True)
class Actor:
    """An account. `is_bot` is what GitHub says of its type; the login's suffix proves nothing."""

    id: int
    login: str
    is_bot: bool


@dataclass(frozen=True, slots=True)
class Repository:
    """The repository that an event belongs to."""

    id: int
    owner: str
    name: str
    default_branch: str = ""

    @property
    def full_name(self) -> str:
        """`owner/name`."""
        return f"{self.owner}/{self.name}"


@dataclass(frozen=True, slots=True)
class Head:
    """The branch that a pull request would merge."""

    branch: str
    sha: str
    same_repo: bool
    """It is in the repository itself, and not in a fork, whose branch of the same name is somebody else's."""


@dataclass(frozen=True, slots=True)
class IssueFacts:
    """An issue or pull request as it stood when the event was made."""

    number: int
    is_open: bool
    locked: bool
    is_pull_request: bool
    updated_at: str
    snapshot: str
    """sha256 of all that the payload says of the issue: the label event's own identity, as it has no id."""
    author: Actor | None = None
    head: Head | None = None
    """Of a pull request, where the payload says it; a comment's does not."""
    assignees: tuple[Actor, ...] = ()


@dataclass(frozen=True, slots=True)
class Labeled:
    """Somebody put a label on an issue or pull request."""

    repository: Repository
    issue: IssueFacts
    sender: Actor
    label: str


@dataclass(frozen=True, slots=True)
class Assigned:
    """Somebody assigned an issue or pull request to an account."""

    repository: Repository
    issue: IssueFacts
    sender: Actor
    assignee: Actor


@dataclass(frozen=True, slots=True)
class Opened:
    """Somebody opened an issue; `body` is its text."""

    repository: Repository
    issue: IssueFacts
    sender: Actor
    author: Actor
    body: str


@dataclass(frozen=True, slots=True)
class Commented:
    """Somebody wrote a comment on an issue, on a pull request, or on a line of one (then `review_id` is its review)."""

    repository: Repository
    issue: IssueFacts
    sender: Actor
    author: Actor
    comment_id: int
    body: str
    created_at: str
    review_id: int | None = None


@dataclass(frozen=True, slots=True)
class Reviewed:
    """Somebody handed in a review of a pull request; its comments on lines are not in the delivery."""

    repository: Repository
    issue: IssueFacts
    sender: Actor
    author: Actor
    review_id: int
    state: str
    """Lower case, as in webhooks: `approved`, `changes_requested`, `commented`."""
    body: str
    submitted_at: str


@dataclass(frozen=True, slots=True)
class ChecksFailed:
    """A check, a suite of them, or a workflow ended in failure."""

    repository: Repository
    sender: Actor
    name: str
    conclusion: str
    head_sha: str
    head_branch: str
    app: str
    """Slug of the App that made the check; empty for a workflow."""
    pulls: tuple[int, ...] = ()
    """Pull requests of this repository that have the commit as their head."""
    same_repo: bool | None = None
    """The commit is on a branch of the repository itself; None where the payload does not say."""
    url: str = ""
    summary: str = ""
    """What the check says of itself; anybody's text."""
    completed_at: str = ""


@dataclass(frozen=True, slots=True)
class ChecksPassed:
    """A suite of checks, a workflow or a commit status ended well."""

    repository: Repository
    sender: Actor
    name: str
    head_sha: str
    app: str
    digest: str
    """sha256 of what ended: a redelivery is the same, another end of it is not."""


@dataclass(frozen=True, slots=True)
class Dispatched:
    """A program with a token sent `repository_dispatch`."""

    repository: Repository
    sender: Actor
    action: str
    payload: JsonObject = field(hash=False)
    digest: str
    """sha256 of the payload: two equal dispatches are one, unless they carry an `id`."""


@dataclass(frozen=True, slots=True)
class Ping:
    """GitHub asks whether we are there."""


@dataclass(frozen=True, slots=True)
class Unsupported:
    """An event that nothing here reacts to."""

    what: str


@dataclass(frozen=True, slots=True)
class Malformed:
    """A signed body that is not what its event should look like."""

    reason: str


Happening = Labeled | Assigned | Opened | Commented | Reviewed | ChecksFailed | ChecksPassed | Dispatched
"""What may lead to something."""

Event = Happening | Ping | Unsupported | Malformed
