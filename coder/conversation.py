"""What a model and a harness say to each other: messages, calls, answers, outputs. Part of the vocabulary of `types.py`."""

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

JsonObject = dict[str, Any]
"""A JSON object as it stands on a wire."""


class Value(BaseModel):
    """A frozen value that refuses unknown fields."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class ToolCall(Value):
    """A model's request to run a tool; `arguments` is the JSON text exactly as the model wrote it."""

    id: str
    name: str
    arguments: str


class Message(Value):
    """One message of the conversation, provider-neutral.

    `reasoning_content` and `thinking_blocks` (Anthropic's signed blocks) are replayed verbatim, never edited.
    """

    role: Literal["system", "user", "assistant", "tool"]
    content: str | None = None
    reasoning_content: str | None = None
    thinking_blocks: tuple[JsonObject, ...] = ()
    tool_calls: tuple[ToolCall, ...] = ()
    tool_call_id: str | None = None
    name: str | None = None


class Usage(Value):
    """Tokens of one completion. `cached_tokens` is part of `prompt_tokens`, `reasoning_tokens` of `completion_tokens`."""

    prompt_tokens: int = 0
    cached_tokens: int = 0
    cache_write_tokens: int = 0
    completion_tokens: int = 0
    reasoning_tokens: int = 0
    estimated: bool = False
    """The provider reported nothing; the numbers are our own upper estimate, so that unknown is never free."""


class Completion(Value):
    """One answer of a model, with what it cost by our own price table."""

    message: Message
    finish_reason: Literal["stop", "tool_calls", "length", "content_filter", "cut"]
    """`cut`: the stream ended without the provider saying why."""
    usage: Usage
    cost_usd: float
    model: str
    request_id: str | None = None


class ToolSpec(Value):
    """A tool as a model sees it; `parameters` is a JSON schema with every property typed and no extra ones allowed."""

    name: str
    description: str
    parameters: JsonObject


class FileRationale(Value):
    """Why one file was changed, in the model's words."""

    path: str
    reason: str


class Submission(Value):
    """What the model hands in as finished; the change itself is taken from the sandbox, not from here."""

    title: str
    summary: str
    rationale: tuple[FileRationale, ...] = ()
    expected_failure: str = ""
    """What the model says the new test fails with on the base commit."""


class TestCounts(Value):
    """How many tests a tool call saw end how: what the loop measures progress by."""

    __test__ = False  # not a test class, whatever pytest thinks of its name

    passed: int = 0
    failed: int = 0
    errored: int = 0
    selection: tuple[str, ...] = ()
    """What was asked for; empty is the whole suite. Counts of different selections do not compare."""


class Look(Value):
    """The last look at a change before it is handed in: only what was looked at counts as handed in."""

    tree_sha: str
    submission: Submission
    """As it would be handed in: the words for the work if it comes to an end before that."""


class ToolOutput(Value):
    """What a tool gives back to the model. An error is a result that the model can act on."""

    content: str
    is_error: bool = False
    look: Look | None = None
    submission: Submission | None = None
    question: str | None = None
    """The segment ends: a person is asked this."""
    tests: TestCounts | None = None
    """None when no tests were run, or only an exit code is known of them."""
