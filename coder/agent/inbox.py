"""What people say to a run while it works."""

from collections.abc import Callable

from coder.trace.events import Continued, Opened, Told
from coder.trace.journal import Journal
from coder.types import Followup


class Inbox:
    """Follow-ups for a run under way, each taken once: its id is in the journal with the message that passed it on."""

    def __init__(self, journal: Journal, poll: Callable[[], tuple[Followup, ...]]) -> None:
        self._poll = poll
        self._earlier: set[str] = set()
        """Heard in segments that have ended."""
        self._heard: set[str] = set()
        self.opened: Opened | None = None
        """The conversation's beginning."""
        for event in journal.events:
            if isinstance(event, Continued):
                self._earlier |= {*self._heard, event.followup.id}
            elif isinstance(event, Told) and event.followup:
                self._heard.add(event.followup)
            elif isinstance(event, Opened):
                self.opened = event

    def new(self) -> list[Followup]:
        """What the model was not told yet, oldest first; from now on it counts as heard."""
        fresh = [f for f in self._poll() if f.kind in {"steer", "stop"} and f.id not in self._heard | self._earlier]
        self._heard |= {followup.id for followup in fresh}
        return fresh

    def stop(self) -> Followup | None:
        """The word that ended this segment: it holds also when the process died before it wrote so down."""
        said = (f for f in self._poll() if f.kind == "stop" and f.note.trusted)
        return next((f for f in said if f.id in self._heard - self._earlier), None)
