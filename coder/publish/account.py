"""What a pull request's text is made of."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from coder.trace.events import Event, Reviewed
from coder.types import Base, Evidence, Outcome, Patch, Problem, Spent, Task, Verdict


@dataclass(frozen=True, slots=True)
class Account:
    """Everything that is told of a change; nothing in it is redacted or inert yet."""

    task: Task
    problem: Problem
    base: Base
    outcome: Outcome
    patch: Patch
    verdict: Verdict
    evidence: Evidence
    spent: Spent
    model: str
    recorded: bool
    events: Sequence[Event]
    journal_digest: str
    reviewed: Reviewed | None = None
    commit: str = ""
    """The commit that is pushed, when it is made already."""
    made_in: Mapping[str, Sequence[int]] = field(default_factory=dict)
    """By path: the steps that made its change what it is (`coder.publish.made_in`)."""
    hosts: Sequence[str] = ()
    """What the sandbox could reach while the model worked."""
    template: str = ""
    """The repository's own template for pull requests, of the base commit."""
    trace_url: str = ""
    """Where the full trace can be read; empty: on the command line only."""
