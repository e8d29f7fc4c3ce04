"""What can happen in a run. The events are the conversation, the trace, the resume point and the replay input."""

from typing import Annotated, Literal

from pydantic import Field, TypeAdapter

from coder.types import (
    Base,
    Checkpoint,
    Completion,
    Contact,
    Evidence,
    Followup,
    Message,
    Outcome,
    Patch,
    Problem,
    PullRequest,
    Review,
    RunResult,
    Task,
    ToolOutput,
    ToolSpec,
    Value,
    Verdict,
)


class RunStarted(Value):
    """The first event of a run."""

    type: Literal["run_started"] = "run_started"
    task: Task
    version: str
    """Version of this program."""


class Resumed(Value):
    """A new process goes on with the run; the wall clock between the last event and this one is not counted."""

    type: Literal["resumed"] = "resumed"
    version: str


class Continued(Value):
    """Somebody added to a run that had ended or waits: it is open again."""

    type: Literal["continued"] = "continued"
    followup: Followup


class Reopened(Value):
    """Where a continued run goes on: the commit that its next one is put on, and the workspace that it begins with."""

    type: Literal["reopened"] = "reopened"
    head_sha: str | None
    """The branch's commit at this moment; None when nothing is published yet."""
    checkpoint: Checkpoint | None
    """The workspace against base; None when it is base itself."""
    foreign: tuple[str, ...] = ()
    """What other people pushed to the branch since our last commit, a line each, oldest first."""
    conflicts: tuple[str, ...] = ()
    """Files in which their change and ours met; the workspace has both between conflict markers."""
    merges: str | None = None
    """The base branch's commit that is in the workspace, too: the next commit has it as its second parent."""


class Attributed(Value):
    """Whose fault a red check is, by experiment: only what our change caused is mended."""

    type: Literal["attributed"] = "attributed"
    followup: str
    """Id of the follow-up that the check is."""
    kind: Literal["caused", "pre_existing", "flaky", "not_reproduced"]
    lines: tuple[str, ...]
    """What was seen, a line for each test."""
    log: str
    """What of the check's log tells something."""


class ProblemRead(Value):
    """What is to be solved, and from which commit."""

    type: Literal["problem_read"] = "problem_read"
    problem: Problem
    base: Base
    remote_url: str
    """Where the base commit was fetched from, without any credential."""
    remote_is_local: bool = False


class Prepared(Value):
    """The environment is ready."""

    type: Literal["prepared"] = "prepared"
    image: str
    image_digest: str
    setup_ok: bool
    setup_log: str
    test_command: str | None
    """How the repository's tests are run; None when no way was found."""
    services: tuple[str, ...] = ()
    """Servers beside each sandbox."""
    egress: tuple[str, ...] = ()
    """Hosts that sandboxes may reach."""
    submodules: tuple[str, ...] = ()
    """Folders of other repositories, there to build and test with."""
    submodules_missing: tuple[str, ...] = ()
    """Those that could not be had: folder, colon, why."""
    lfs_pointers: tuple[str, ...] = ()
    """Files whose contents lie on a Git LFS server, not more than are worth naming."""
    lfs_count: int = 0


class Baseline(Value):
    """How the tests went on the base commit, before anything was changed; for the model's eyes, no proof."""

    passed: int
    red: tuple[str, ...] = ()
    """Tests that failed or erred, not more than are worth naming."""
    red_count: int = 0
    duration_s: float
    problem: str = ""
    """Why little is known, when little is."""
    why: str = ""
    """How the first of the red ones fail."""


class Opened(Value):
    """The conversation's fixed beginning: system prompt, opening message, tools."""

    type: Literal["opened"] = "opened"
    messages: tuple[Message, ...]
    tools: tuple[ToolSpec, ...]
    baseline: Baseline | None = None
    remembered: tuple[str, ...] = ()
    """Facts of earlier runs that the model was shown, a line each."""


class Answered(Value):
    """The model answered; paid for, and never asked again."""

    type: Literal["answered"] = "answered"
    step: int
    completion: Completion


class ToolFinished(Value):
    """A tool call was carried out: its result and the workspace after it, in one line, so that no crash parts them."""

    type: Literal["tool_finished"] = "tool_finished"
    step: int
    call_id: str
    name: str
    output: ToolOutput
    duration_s: float
    full_blob: str | None = None
    """The whole output, when `output` shows only head and tail."""
    checkpoint: Checkpoint | None = None
    """The workspace, when this call changed it."""


class Attempted(Value):
    """The problem is begun anew, from the base commit and with nothing of the conversation but its fixed beginning."""

    type: Literal["attempted"] = "attempted"
    number: int
    """From 2: the first attempt begins with the run."""


class Chosen(Value):
    """Of several attempts the one whose change is handed out: whatever follows goes on with its conversation and work."""

    type: Literal["chosen"] = "chosen"
    number: int
    checkpoint: Checkpoint | None
    """The work tree with its change."""


class Told(Value):
    """A message of ours to the model: a reminder, a warning, an objection of the verification.

    With `replaces_answer` the answer just before it leaves the wire history (an assistant turn without tool calls in
    the middle of a run makes Kimi K2 lose all earlier reasoning); the trace keeps it.
    """

    type: Literal["told"] = "told"
    step: int
    reason: Literal["no_tool_call", "cut_short", "stuck", "worse", "budget", "objection", "followup"]
    message: Message
    followup: str = ""
    """Id of the `Followup` that it passes on, when it does."""
    replaces_answer: bool = False
    checkpoint: Checkpoint | None = None
    """The workspace, when it was set back with these words."""


class Reduced(Value):
    """The conversation was shortened once: tool outputs of steps before `before_step` are stubs on the wire from here."""

    type: Literal["reduced"] = "reduced"
    before_step: int


class Summarised(Value):
    """The model was asked for a summary, and paid for it: `message` takes the place of all steps before `before_step`.

    Without `message` the answer was no summary, and nothing changed.
    """

    type: Literal["summarised"] = "summarised"
    before_step: int
    completion: Completion
    message: Message | None


class Contacted(Value):
    """Sandboxes of the run tried to reach hosts, since the last event of this kind."""

    type: Literal["contacted"] = "contacted"
    contacts: tuple[Contact, ...]


class Solved(Value):
    """The agent's part ended (for this round)."""

    type: Literal["solved"] = "solved"
    outcome: Outcome


class PatchTaken(Value):
    """The change left the sandbox and passed the patch rules. `patch.diff` is empty here; the text is the blob."""

    type: Literal["patch_taken"] = "patch_taken"
    patch: Patch
    diff_blob: str


class CellRun(Value):
    """One run of the tests in a clean container ended: it is not made again, whatever becomes of this process."""

    type: Literal["cell_run"] = "cell_run"
    key: str
    """What it is known by: digest of tree, image, command and environment."""
    cell: str
    """Its name, for those who read the journal."""
    cell_blob: str
    """The `Cell` as JSON."""


class Verified(Value):
    """The tests were run by us."""

    type: Literal["verified"] = "verified"
    round: int
    verdict: Verdict
    evidence: Evidence


class Reviewed(Value):
    """A second model looked at the change of this round, and was paid for it. Without `review` it gave none: `problem`."""

    type: Literal["reviewed"] = "reviewed"
    round: int
    model: str
    """Name of the model's profile."""
    completion: Completion | None = None
    review: Review | None = None
    problem: str = ""


class Published(Value):
    """The change is out: a pull request, or a branch in a local checkout."""

    type: Literal["published"] = "published"
    pull_request: PullRequest


class Finished(Value):
    """The last event of a run."""

    type: Literal["finished"] = "finished"
    result: RunResult


Event = Annotated[
    RunStarted
    | Resumed
    | Continued
    | Reopened
    | Attributed
    | ProblemRead
    | Prepared
    | Opened
    | Answered
    | ToolFinished
    | Attempted
    | Chosen
    | Told
    | Reduced
    | Summarised
    | Contacted
    | Solved
    | PatchTaken
    | CellRun
    | Verified
    | Reviewed
    | Published
    | Finished,
    Field(discriminator="type"),
]

EVENT: TypeAdapter[Event] = TypeAdapter(Event)
"""Reads and writes any event."""


class Entry(Value):
    """One line of the journal. `hash` covers all other fields, `prev` is the hash of the line before."""

    ts: str
    seq: int
    run_id: str
    prev: str
    event: Event
    hash: str
