"""Containers started before anybody asks, so that a run does not wait for one."""

import hashlib
import logging
import threading
from collections.abc import Callable
from typing import Generic, TypeVar

from coder.errors import EngineUnavailableError, SandboxError
from coder.sandbox.protocol import Image
from coder.sandbox.runner_sandbox import RunnerSandbox

logger = logging.getLogger(__name__)

WAIT_S = 120.0
"""Longer than a container takes to start; then the caller starts one itself."""
S = TypeVar("S", bound=RunnerSandbox)


class Pool(Generic[S]):
    """One empty sandbox of each of the `size` images that were wanted last; `start` makes one. Safe for threads.

    They belong to this process like all others: they end with it, and the sweep finds what is left.
    """

    def __init__(self, size: int, start: Callable[[Image], S]) -> None:
        self._size = size
        self._start = start
        self._wanted: list[Image] = []
        """The last one first."""
        self._warm: list[tuple[Image, S]] = []
        self._starting: Image | None = None
        self._filler: threading.Thread | None = None
        self._changed = threading.Condition()

    def refill(self, image: Image) -> None:
        """Have a sandbox of `image` started in the background, and no more of those that were not wanted for longest."""
        with self._changed:
            if self._size == 0:
                return
            self._wanted = [image, *(other for other in self._wanted if other != image)][: self._size]
            old = [entry for entry in self._warm if entry[0] not in self._wanted]
            self._warm = [entry for entry in self._warm if entry[0] in self._wanted]
            if self._filler is None:
                self._filler = threading.Thread(target=self._fill, name="sandbox-pool", daemon=True)
                self._filler.start()
        for _, sandbox in old:
            sandbox.close()

    def take(self, image: Image) -> S | None:
        """A sandbox of `image` that lives, waiting for one that is being started; None when there is none."""
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._filler is None or self._turn() != image, WAIT_S)
                found = next((entry for entry in self._warm if entry[0] == image), None)
                if found is None:
                    return None
                self._warm.remove(found)
            try:
                found[1].background.processes()
            except SandboxError:
                found[1].close()
            else:
                return found[1]

    def close(self) -> None:
        """End all of them, and start no more."""
        with self._changed:
            self._size, self._wanted = 0, []
            filler, old, self._warm = self._filler, self._warm, []
        if filler is not None:
            filler.join()
        for _, sandbox in old:
            sandbox.close()

    def _turn(self) -> Image | None:
        """Which is being started, or will be next: of those that were wanted last the first that is not there."""
        there = [image for image, _ in self._warm]
        return self._starting or next((image for image in self._wanted if image not in there), None)

    def _fill(self) -> None:
        while True:
            with self._changed:
                self._starting = image = self._turn()
                if image is None:
                    self._filler = None
                    self._changed.notify_all()
                    return
            try:
                sandbox = self._start(image)
            except (SandboxError, EngineUnavailableError) as exc:
                logger.warning("no sandbox in advance", extra={"image": image.reference, "reason": str(exc)})
                with self._changed:
                    self._starting = None
                    self._wanted = [other for other in self._wanted if other != image]
                    self._changed.notify_all()
                continue
            with self._changed:
                self._starting = None
                if kept := image in self._wanted:
                    self._warm.append((image, sandbox))
                self._changed.notify_all()
            if not kept:
                sandbox.close()


def name_prefix(run_id: str) -> str:
    """How names of a run's containers begin. A label cannot be given to a container that exists; a name can."""
    return f"coder-{hashlib.sha256(run_id.encode('utf-8', 'surrogateescape')).hexdigest()[:12]}-"
