"""The seam to a language model."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from coder.model.profile import ModelProfile
from coder.types import Completion, Message, ToolSpec


@dataclass(frozen=True, slots=True)
class CompletionRequest:
    """One question to a model: the whole conversation and the tools it may call."""

    messages: Sequence[Message]
    tools: Sequence[ToolSpec]
    max_output_tokens: int
    deadline_s: float
    """Wall clock for this call with all its retries, in seconds."""
    cache_key: str
    """Stable for a run; providers that route by it find the cached prefix again."""
    max_cost_usd: float = math.inf
    """What this call may cost at most, with all its attempts: an attempt that could pass it is not made."""


class ModelClient(Protocol):
    """Whatever answers a conversation."""

    @property
    def profile(self) -> ModelProfile:
        """What is known of the model."""
        ...

    def complete(self, request: CompletionRequest) -> Completion:
        """The model's answer.

        Raises:
            ContextOverflowError: The conversation is too long for the model.
            ModelError: It will not answer, for a reason that retrying does not cure, or retries are used up.
        """
        ...
