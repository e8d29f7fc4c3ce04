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
    """Up to `size` empty sandboxes of the image that was wanted last; `start` makes one. Safe for threads.

    They belong to this process like all others: they end with it, and the sweep finds what is left.
    """

    def __init__(self, size: int, start: Callable[[Image], S]) -> None:
        self._size = size
        self._start = start
        self._image: Image | None = None
        self._warm: list[S] = []
        self._filler: threading.Thread | None = None
        self._changed = threading.Condition()

    def refill(self, image: Image) -> None:
        """Have sandboxes of `image` started in the background, and only of it."""
        with self._changed:
            if self._size == 0:
                return
            old = []
            if image != self._image:
                self._image, old, self._warm = image, self._warm, []
            if self._filler is None:
                self._filler = threading.Thread(target=self._fill, name="sandbox-pool", daemon=True)
                self._filler.start()
        for sandbox in old:
            sandbox.close()

    def take(self, image: Image) -> S | None:
        """A sandbox of `image` that lives, waiting for one that is being started; None when there is none."""
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._warm or self._filler is None or image != self._image, WAIT_S)
                if image != self._image or not self._warm:
                    return None
                sandbox = self._warm.pop(0)
            try:
                sandbox.background.processes()
            except SandboxError:
                sandbox.close()
            else:
                return sandbox

    def close(self) -> None:
        """End all of them, and start no more."""
        with self._changed:
            self._size, self._image = 0, None
            filler, old, self._warm = self._filler, self._warm, []
        if filler is not None:
            filler.join()
        for sandbox in old:
            sandbox.close()

    def _fill(self) -> None:
        while True:
            with self._changed:
                image = self._image
                if image is None or len(self._warm) >= self._size:
                    self._filler = None
                    self._changed.notify_all()
                    return
            try:
                sandbox = self._start(image)
            except (SandboxError, EngineUnavailableError) as exc:
                logger.warning("no sandbox in advance", extra={"image": image.reference, "reason": str(exc)})
                with self._changed:
                    self._image = None
                continue
            with self._changed:
                if kept := image == self._image:
                    self._warm.append(sandbox)
                    self._changed.notify_all()
            if not kept:
                sandbox.close()


def name_prefix(run_id: str) -> str:
    """How names of a run's containers begin. A label cannot be given to a container that exists; a name can."""
    return f"coder-{hashlib.sha256(run_id.encode('utf-8', 'surrogateescape')).hexdigest()[:12]}-"
