"""The vocabulary: the values that every part speaks. Frozen; nothing here does anything.

Pydantic (`Value`) for what reaches a disk or a wire. Times are RFC 3339 in UTC, paths are POSIX and relative to the
repository root, money is US dollars.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal

from pydantic import Field

from coder.conversation import Completion as Completion
from coder.conversation import FileRationale as FileRationale
from coder.conversation import JsonObject as JsonObject
from coder.conversation import Look as Look
from coder.conversation import Message as Message
from coder.conversation import Submission as Submission
from coder.conversation import TestCounts as TestCounts
from coder.conversation import ToolCall as ToolCall
from coder.conversation import ToolOutput as ToolOutput
from coder.conversation import ToolSpec as ToolSpec
from coder.conversation import Usage as Usage
from coder.conversation import Value as Value

# --- the task ---------------------------------------------------------------------------------------------------------


class RepoRef(Value):
    """A repository by owner and name."""

    owner: str
    name: str

    @property
    def full_name(self) -> str:
        """`owner/name`."""
        return f"{self.owner}/{self.name}"


class Limits(Value):
    """Hard caps of one run, checked before each model call."""

    max_steps: int = Field(default=300, ge=1)
    """Model calls."""
    max_cost_usd: float = Field(default=5.0, gt=0)
    max_minutes: float = Field(default=60.0, gt=0)
    """Wall clock, over all restarts of the run."""
    max_tokens: int = Field(default=40_000_000, ge=1)
    """Prompt and completion tokens together; a prompt is counted each time it is sent."""


class Spent(Value):
    """What a run has used of its limits."""

    steps: int = 0
    cost_usd: float = 0.0
    prompt_tokens: int = 0
    cached_tokens: int = 0
    completion_tokens: int = 0
    elapsed_s: float = 0.0


class Task(Value):
    """What somebody asked for: the input of a run."""

    run_id: str
    repo: RepoRef
    kind: Literal["issue", "review", "check_failure", "prompt"]
    number: int | None = None
    """The issue or pull request, when there is one."""
    prompt_title: str = ""
    prompt: str = ""
    """The text of a `prompt` task."""
    review_id: int | None = None
    """The review of the pull request `number` that asked: it is read with its comments on lines."""
    requested_by: str
    requested_at: str
    comment_id: int | None = None
    """The comment that asked, when a comment did; it gets the reaction."""
    base_ref: str | None = None
    """Branch or commit to work from, or `pull/NUMBER/head`; None is the default branch."""
    check_sha: str | None = None
    """The commit whose checks failed, of a `check_failure`."""
    mode: Literal["fix", "plan"] = "fix"
    """`plan`: look, write a plan, and wait for a person's word before anything is changed."""
    force: bool = False
    """Begin also where somebody else is at work already."""
    model: str
    """Name of a model profile."""
    attempts: int | None = Field(default=None, ge=1, le=8)
    """How often the problem may be begun from the start, within the same limits; None is what the profile says."""
    limits: Limits = Limits()


class Note(Value):
    """One text by one person. Text of people without write permission is data, and marked so."""

    author: str
    body: str
    created_at: str = ""
    trusted: bool = False


class Problem(Value):
    """What is to be solved, as the model may be shown it."""

    kind: Literal["issue", "review", "check_failure", "prompt"]
    title: str
    body: Note
    comments: tuple[Note, ...] = ()
    number: int | None = None
    url: str | None = None
    withheld: tuple[str, ...] = ()
    """What was left out and why, a line each; printed in the pull request."""


class ReviewThread(Value):
    """A review's comment on a line of our pull request."""

    comment_id: int
    path: str
    line: int | None = None
    """None when it belongs to the whole file, or to a line that is gone."""
    note: Note


class Followup(Value):
    """What is added to a run that exists: the same conversation goes on, and the same branch gets new commits."""

    id: str
    """Equal for redeliveries of the same event; a run takes each once."""
    kind: Literal["answer", "approve", "revise", "review", "check_failure", "continue", "rebase", "steer", "stop"]
    note: Note
    """Who said it, and what; for a failed check the trimmed log, untrusted."""
    threads: tuple[ReviewThread, ...] = ()
    add_cost_usd: float = Field(default=0.0, ge=0)
    """Dollars on top of the run's limit."""
    comment_id: int | None = None
    """The comment that asked, when a comment did; it gets the reaction."""


class Base(Value):
    """The commit that a run works from."""

    ref: str
    """The branch that a pull request would be opened against."""
    sha: str
    foreign: bool = False
    """The commit is of a fork's branch: nothing is pushed, the change is offered as a patch."""


@dataclass(frozen=True, slots=True)
class TreePack:
    """A commit as git objects, made by the workspace: what a sandbox is filled with."""

    commit_sha: str
    pack: bytes
    """A git packfile with the commit, its tree, and a bounded history."""
    shallow: tuple[str, ...] = ()
    """Commits at which the history is cut (git's `shallow` file)."""
    tags: tuple[tuple[str, str], ...] = ()
    """Names of tags, each with its commit of the history: many projects make their version of them."""
    inner: tuple[tuple[str, "TreePack"], ...] = ()
    """Submodules by path: files to build and test with, of which nothing leaves the sandbox."""


@dataclass(frozen=True, slots=True)
class Remote:
    """Where git fetches from and pushes to. The credential travels in git's environment, never in `url`."""

    url: str
    authorization: str | None = field(default=None, repr=False)
    """Value of the HTTP header `Authorization`, when there is one."""
    renewed: Callable[[], str] | None = field(default=None, repr=False, compare=False)
    """Gives another value for it, where one can be had, when the remote takes the first no more."""
    local: bool = False
    """A path on this machine: its hooks must not run."""


# --- the sandbox and the change ---------------------------------------------------------------------------------------


class ExecResult(Value):
    """A finished command. `exit_code` is None when it was killed at its time-out."""

    exit_code: int | None
    output: str
    """stdout and stderr interleaved, UTF-8 with replacement, cut in the middle when `truncated`."""
    duration_s: float
    truncated: bool = False
    output_bytes: int = 0
    """How much the command printed, before any cut."""


class FileChange(Value):
    """One path of a patch. `additions` and `deletions` are lines, None for binary files."""

    path: str
    status: Literal["added", "modified", "deleted", "renamed"]
    old_path: str | None = None
    additions: int | None = None
    deletions: int | None = None


class Patch(Value):
    """A change as text against `base_sha`, and the tree that results from it."""

    base_sha: str
    tree_sha: str
    diff: str
    files: tuple[FileChange, ...]
    flagged: tuple[str, ...] = ()
    """Protected paths that it touches: work is kept, but the pull request stays a draft and says so."""


class Checkpoint(Value):
    """The workspace after a step: its tree, and the diff against base as a blob of the journal."""

    step: int
    tree_sha: str
    diff_blob: str


class Contact(Value):
    """A host that a sandbox tried to reach."""

    host: str
    port: int
    allowed: bool
    reason: str = ""
    """Why it was refused, or came to nothing."""
    count: int = 1


# --- the proof --------------------------------------------------------------------------------------------------------


class TestReport(Value):
    """Test ids by outcome. Empty everywhere with `by_id` False when only an exit code is known: weaker evidence."""

    __test__ = False  # not a test class, whatever pytest thinks of its name

    by_id: bool
    passed: tuple[str, ...] = ()
    failed: tuple[str, ...] = ()
    errored: tuple[str, ...] = ()
    skipped: tuple[str, ...] = ()
    problem: str | None = None
    """Why no report could be read, when none could."""

    @property
    def red(self) -> tuple[str, ...]:
        """Tests that failed or erred."""
        return (*self.failed, *self.errored)

    @property
    def not_passed(self) -> tuple[str, ...]:
        """Tests that it tells of and that did not run to success."""
        return (*self.red, *self.skipped)


class Cell(Value):
    """One run of the tests in one fresh container."""

    name: Literal["base", "base+new tests", "head", "head+old tests"]
    tree_sha: str
    command: str
    exit_code: int | None
    duration_s: float
    report: TestReport
    output_tail: str
    """The last part of the output, for objections and for people."""
    kept_as: str = ""
    """Digest of the record that it was taken from; empty for a run that was made for this very verdict."""
    at_first: str = ""
    """What was wrong with a first run that contradicted itself or was lost; this is the second, which did not."""


class FlakyTest(Value):
    """A test that passed in some runs of the same code and not in others: `passed` of `runs` in that cell."""

    name: str
    cell: Literal["base", "base+new tests", "head", "head+old tests"]
    passed: int
    runs: int


class Evidence(Value):
    """What was run to reach a verdict; enough to run it again."""

    cells: tuple[Cell, ...] = ()
    base_sha: str
    head_tree: str
    image: str
    """Reference of the image that the cells ran in."""
    image_digest: str
    test_files: tuple[str, ...] = ()
    """Test files that the patch adds or changes."""
    proving_tests: tuple[str, ...] = ()
    """Tests that fail on base and pass on head."""
    not_verified: tuple[str, ...] = ()
    """What was not run or could not be known, a line each."""
    flaky: tuple[FlakyTest, ...] = ()
    """Neither a regression nor a proof."""
    hunks_tried: int = 0
    """Parts of a proven change that were taken out, one at a time, before the tests ran again."""
    unexercised: tuple[str, ...] = ()
    """Those of them without which every test passed all the same, as `path:10-14`."""


VerdictKind = Literal["proven", "passing", "unverified", "regressed", "no_change", "refused"]


class Verdict(Value):
    """A machine's judgement of a patch.

    proven: a test failed before and passes after, nothing new fails · passing: nothing new fails, nothing was red before ·
    unverified: no tests, or the environment would not build · regressed: new failures · no_change · refused: by policy.
    """

    kind: VerdictKind
    reasons: tuple[str, ...] = ()
    objections: tuple[str, ...] = ()
    """What the model is told when it may try again; empty when there is nothing to improve."""


class Remark(Value):
    """One thing that a reviewer says of a change. It is a model's word: an objection, never a proof."""

    path: str = ""
    """Empty when it is about the whole."""
    line: int | None = None
    what: str
    must_fix: bool

    @property
    def place(self) -> str:
        """`path:line`, `path`, or nothing."""
        return f"{self.path}:{self.line}" if self.path and self.line else self.path


class Review(Value):
    """What a second model says of a change that it did not write."""

    summary: str = ""
    remarks: tuple[Remark, ...] = ()
    partial: bool = False
    """The change was too long to be shown whole."""


# --- the result -------------------------------------------------------------------------------------------------------


class Outcome(Value):
    """How the agent's part ended."""

    kind: Literal["submitted", "asked", "stopped", "limit", "stuck", "failed"]
    """`asked`: it waits for a person's answer to `reason`, or word on the plan that stands there."""
    reason: str = ""
    submission: Submission | None = None


class Proposal(Value):
    """A pull request as it would be opened."""

    branch: str
    base_ref: str
    title: str
    body: str
    draft: bool
    awaits_checks: bool = False
    """It is a draft only until the checks of its commit are green; one that is ready already stays ready."""


class PullRequest(Value):
    """A published proposal. `number` and `url` are None when it is a branch in a local checkout."""

    branch: str
    commit_sha: str
    draft: bool
    awaits_checks: bool = False
    """A draft only until the checks of the commit are green."""
    number: int | None = None
    url: str | None = None


class RunResult(Value):
    """How a run ended."""

    run_id: str
    verdict: Verdict
    outcome: Outcome
    spent: Spent
    pull_request: PullRequest | None = None
    kept: str = ""
    """Branch with work in progress that was not worth a pull request."""
    journal_digest: str = ""
