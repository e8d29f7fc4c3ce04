"""A model that answers what it was told to: for tests and for trying the rest of the line without a provider."""

from collections.abc import Callable, Iterable, Sequence

from coder.errors import ModelError
from coder.model.profile import ModelProfile
from coder.model.protocol import CompletionRequest
from coder.types import Completion, Message, Usage

Turn = Message | Completion | Callable[[Sequence[Message]], Message | Completion]


class ScriptedModel:
    """Answers with `turns` in order; a turn may be a function of the conversation so far. Keeps every request."""

    def __init__(self, profile: ModelProfile, turns: Iterable[Turn]) -> None:
        self._profile = profile
        self._turns = iter(turns)
        self.requests: list[CompletionRequest] = []

    @property
    def profile(self) -> ModelProfile:
        """What is said of the model."""
        return self._profile

    def complete(self, request: CompletionRequest) -> Completion:
        """The next turn.

        Raises:
            ModelError: No turn is left.
        """
        self.requests.append(request)
        turn = next(self._turns, None)
        if turn is None:
            raise ModelError(f"the script of model {self._profile.name!r} has no turn number {len(self.requests)}")
        answer = turn if isinstance(turn, Message | Completion) else turn(request.messages)
        return answer if isinstance(answer, Completion) else self._completion(request, answer)

    def _completion(self, request: CompletionRequest, message: Message) -> Completion:
        prompt = sum(len(part.content or "") for part in request.messages)
        usage = Usage(
            prompt_tokens=prompt // 4 + 1, completion_tokens=len(message.content or "") // 4 + 1, estimated=True
        )
        return Completion(
            message=message,
            finish_reason="tool_calls" if message.tool_calls else "stop",
            usage=usage,
            cost_usd=self._profile.prices.cost_usd(usage),
            model=self._profile.model,
        )
