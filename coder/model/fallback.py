"""Several models behind one: when one cannot be asked, the next one goes on with the same conversation."""

import logging
from collections.abc import Sequence

from coder.errors import ContextOverflowError, ModelError
from coder.model.profile import ModelProfile
from coder.model.protocol import CompletionRequest, ModelClient
from coder.types import Completion

logger = logging.getLogger(__name__)


class FallbackModel:
    """Asks the first of `clients` that has not failed. One that failed for good is not asked again by this object.

    Each client encodes the history by its own profile's rules, so a conversation may change hands at any step; the cache
    of the new provider begins empty.
    """

    def __init__(self, clients: Sequence[ModelClient]) -> None:
        self._clients = list(clients)

    @property
    def profile(self) -> ModelProfile:
        """What is known of the model that would be asked next."""
        return self._clients[0].profile

    def complete(self, request: CompletionRequest) -> Completion:
        """The answer of the first model that gives one.

        Raises:
            ContextOverflowError: The conversation is too long for the model in turn.
            ModelError: The last model failed, too.
        """
        while True:
            try:
                return self._clients[0].complete(request)
            except ContextOverflowError:
                raise
            except ModelError as exc:
                if len(self._clients) == 1:
                    raise
                failed = self._clients.pop(0)
                names = {"failed": failed.profile.name, "next": self.profile.name, "why": str(exc)}
                logger.warning("model failed, falling back", extra=names)
