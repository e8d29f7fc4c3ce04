"""What an event asks for, and where it came from, before anybody has looked at what is going on already."""

from dataclasses import dataclass, field
from typing import Final, Literal

from pydantic import TypeAdapter

from coder.types import ReviewThread
from webhooks.commands import Verb
from webhooks.events import Head, Repository
from webhooks.options import Options

What = Verb | Literal["say", "review", "checks", "passed"]
"""A verb; or free text to a run, a review that asks for changes, a failed check, checks that passed."""

STARTS: Final[frozenset[What]] = frozenset({"fix", "plan", "retry", "rebase"})
"""What gives a new run."""


@dataclass(frozen=True, slots=True)
class Source:
    """Where a request came from; digest and event together are its key."""

    event: str
    guid: str
    digest: str
    repo: str


@dataclass(frozen=True, slots=True)
class Request:
    """One request, from one event. Equal events give equal requests."""

    what: What
    repository: Repository
    number: int
    """The issue or pull request; 0 for none."""
    sender: str
    identity: tuple[str, ...]
    """What makes a new run's id; redeliveries have the same."""
    followup: str
    """Id of what is added to a run that exists."""
    requested_at: str
    is_pull_request: bool = False
    head: Head | None = None
    comment_id: int | None = None
    words: str = ""
    options: Options = field(default_factory=Options)
    heavy: bool = False
    straight: bool = False
    """Fix without a plan, even where plans come first."""
    forced: bool = False
    """Begin also where somebody else is at work already."""
    leads: bool = False
    """Free text that is said to us, and not about us."""
    is_open: bool = True
    unfit: str = ""
    """Why free text should start nothing there, if so."""
    thread: ReviewThread | None = None
    review_id: int | None = None
    """The review that it was said in, or on a line of: a run that begins by it reads all of the review."""
    title: str = ""
    """Of work that belongs to no issue."""
    problem: str = ""
    """What was not understood; the person is told, and nothing else happens."""


_JSON: TypeAdapter[Request] = TypeAdapter(Request)


def as_json(request: Request) -> str:
    """A request as it is kept."""
    return _JSON.dump_json(request).decode()


def from_json(text: str) -> Request:
    """What `as_json` gave."""
    return _JSON.validate_json(text)
