"""A model whose answers were given before: what replays a run without asking anybody."""

from collections.abc import Sequence

from coder.errors import ModelError
from coder.model.profile import ModelProfile
from coder.model.protocol import CompletionRequest
from coder.types import Completion


class RecordedModel:
    """Plays `completions` in order, whatever is asked."""

    def __init__(self, profile: ModelProfile, completions: Sequence[Completion]) -> None:
        self._profile = profile
        self._completions = tuple(completions)
        self._played = 0

    @property
    def profile(self) -> ModelProfile:
        """What is known of the model that gave the answers."""
        return self._profile

    @property
    def left(self) -> int:
        """How many answers were not asked for yet."""
        return len(self._completions) - self._played

    def complete(self, request: CompletionRequest) -> Completion:
        """The next answer of the recording.

        Raises:
            ModelError: The recording is over.
        """
        del request
        if not self.left:
            raise ModelError(f"the recording of model {self._profile.name!r} ends after {self._played} answers")
        self._played += 1
        return self._completions[self._played - 1]
