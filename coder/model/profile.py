"""What is known of a model and its provider: data from `configs/models/*.toml`, never code."""

from typing import Literal

from pydantic import Field

from coder.types import JsonObject, Usage, Value


class Prices(Value):
    """US dollars per million tokens."""

    input: float = Field(ge=0)
    cached_input: float = Field(ge=0)
    cache_write: float | None = None
    """What writing to the prompt cache costs where it is billed apart (Anthropic)."""
    output: float = Field(ge=0)

    def cost_usd(self, usage: Usage) -> float:
        """What `usage` costs."""
        uncached = usage.prompt_tokens - usage.cached_tokens - usage.cache_write_tokens
        write = self.input if self.cache_write is None else self.cache_write
        total = (
            uncached * self.input
            + usage.cached_tokens * self.cached_input
            + usage.cache_write_tokens * write
            + usage.completion_tokens * self.output
        )
        return total / 1_000_000


Effort = Literal["low", "medium", "high", "max"]
"""How much is spent on a problem: thought per step, steps, rounds of proof, and attempts."""


class EffortRules(Value):
    """What one effort changes of a profile. Fields that are left out stay as the profile, the limits and the policy have them."""

    max_output_tokens: int | None = Field(default=None, ge=1)
    """Per step, reasoning included: the thinking budget of models without another switch."""
    thinking_budget_tokens: int | None = Field(default=None, ge=1)
    reasoning_effort: str | None = None
    max_steps: int | None = Field(default=None, ge=1)
    """Model calls per segment; the run's own limit stays the cap."""
    max_rounds: int | None = Field(default=None, ge=1)
    """How often the tests may send the work back, instead of the policy's number."""
    attempts: int | None = Field(default=None, ge=1, le=8)
    """How often a problem may be begun from the start until a change is proven, within the same limits."""


class ModelProfile(Value):
    """One model at one provider. Every provider quirk that the client obeys is a field here."""

    name: str
    """The profile's own name: the file's stem."""
    model: str
    """The provider's id of the model."""
    route: Literal["hosted_vllm", "openai", "openai_responses", "moonshot", "deepseek", "anthropic", "cometapi"]
    """litellm's prefix; it decides the dialect. `openai_responses` is OpenAI's Responses API, which carries encrypted reasoning. `hosted_vllm` costs an eighth of the CPU of `openai` at long histories and carries reasoning,
    tool ids and cached usage intact to any OpenAI-compatible host."""
    api_base: str
    api_key_env: str
    """Name of the environment variable that holds the key."""
    key_required: bool = True
    """False for self-hosted servers that take any key."""
    window_tokens: int
    max_output_tokens: int
    """Asked for per step, reasoning included."""
    max_tokens_field: Literal["max_tokens", "max_completion_tokens"] = "max_tokens"
    """What the provider calls the cap on output; OpenAI's reasoning models refuse `max_tokens`."""
    temperature: float | None = None
    top_p: float | None = None
    stream: bool = True
    extra_body: JsonObject = Field(default_factory=dict)
    """Fields merged into the request body as they are (thinking switches)."""
    reasoning_effort: str | None = None
    thinking_budget_tokens: int | None = None
    """Anthropic's manual extended thinking."""
    history_reasoning: Literal["none", "reasoning_content", "both_keys", "thinking_blocks"] = "none"
    """How earlier reasoning is sent back. `both_keys`: `reasoning_content` and vLLM's `reasoning`."""
    call_ids: Literal["functions", "any"] = "any"
    """`functions`: invented call ids have Kimi K2's form `functions.NAME:INDEX`."""
    recover_leaked_calls: bool = False
    """Tool calls that leak as text in Kimi K2's special tokens are read and run."""
    prompt_cache_key: bool = False
    """The provider takes `prompt_cache_key`."""
    cache_control: bool = False
    """Anthropic's explicit cache breakpoints."""
    edit_format: Literal["edit", "apply_patch"] = "edit"
    """The tool by which the model changes files: the one that it was trained on does best."""
    prices: Prices
    max_body_bytes: int | None = None
    max_steps: int | None = Field(default=None, ge=1)
    """Model calls per segment, below the run's own limit."""
    max_rounds: int | None = Field(default=None, ge=1)
    """How often the tests may send the work back, instead of the policy's number."""
    attempts: int = Field(default=1, ge=1, le=8)
    """How often a problem may be begun from the start until a change is proven, within the same limits."""
    effort: dict[Effort, EffortRules] = Field(default_factory=dict)
    """What `NAME@low`, `NAME@medium`, `NAME@high` and `NAME@max` change."""
    retired: str | None = None
    """Why the model is gone and what to use instead; such a profile is refused with this text."""
    note: str = ""
    """Where the facts come from."""
