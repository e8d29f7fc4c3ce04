"""What an operator allows: who may ask, where, by which labels and names, and for how much."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from coder.types import Limits
from webhooks.request import Request


@dataclass(frozen=True, slots=True)
class Labels:
    """Labels that start a run, by what they ask for."""

    fix: str = "coder"
    plan: str = "coder:plan"
    """Write a plan, and wait for a person's word."""
    auto: str = "coder:auto"
    """Fix without a plan, even where plans come first."""
    heavy: str = "coder:heavy"
    """Fix with the most dollars that are allowed, and with the heavy model."""

    @property
    def all(self) -> tuple[str, ...]:
        """Every label."""
        return (self.fix, self.plan, self.auto, self.heavy)


@dataclass(frozen=True, slots=True)
class Rules:
    """Who and what may start a run. Permission on GitHub is asked later, by what acts on it, before anything is done."""

    mention: str
    allowed_repos: tuple[str, ...]
    """`owner/name`, `owner/*` or `*`, in any case. None allowed is none: a secret does not say whose money it is."""
    model: str
    limits: Limits
    ceiling_cost_usd: float | None = None
    """What a comment may raise a run's dollars to; None is the limit itself."""
    models: tuple[str, ...] = ()
    """Profiles that a comment may name, besides `model`."""
    heavy_model: str | None = None
    labels: Labels = field(default_factory=Labels)
    plan_first: bool = False
    """The label and `fix` ask for a plan first; `coder:auto` does not."""
    fix_default_branch: bool = False
    """Failed checks of the default branch start a run."""
    dispatch: str = "coder"
    """Event type of `repository_dispatch` that is ours."""
    max_followups: int = 10
    """How often a run may be added to by people and checks together."""
    max_check_followups: int = 5
    """How often failed checks may send a run back to work."""
    own_id: int | None = None
    """Our own account; its events never trigger anything."""
    own_login: str | None = None
    allowed_bots: tuple[int, ...] = ()
    """Account ids of bots that may ask."""

    @property
    def highest_cost_usd(self) -> float:
        """No run gets more than this."""
        return max(self.ceiling_cost_usd or 0.0, self.limits.max_cost_usd)

    @property
    def handles(self) -> tuple[str, ...]:
        """Names that we are addressed by, without `@`."""
        return (self.mention, *([handle(self.own_login)] if self.own_login else []))


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why an event starts nothing."""

    reason: str
    to: Request | None = None
    """The request that it refuses, when a person who may write is to be told, and not only the log."""


def is_allowed(full_name: str, patterns: Sequence[str]) -> bool:
    """Whether one of `patterns` (`owner/name`, `owner/*`, `*`) names the repository."""
    name = full_name.lower()
    owner = name.partition("/")[0]
    return any(pattern.lower() in {"*", f"{owner}/*", name} for pattern in patterns)


def same_label(given: str, wanted: str) -> bool:
    """Whether GitHub takes both for one label. Folding beyond ASCII would let look-alikes in."""
    return given == wanted or (given.isascii() and wanted.isascii() and given.lower() == wanted.lower())


def handle(login: str) -> str:
    """The name that people write behind `@`: an App's login without its suffix."""
    return login.lower().removesuffix("[bot]")
