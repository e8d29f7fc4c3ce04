"""A setup phase as it runs: steps, their fallbacks, and a log that says what came of each."""

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Final, Literal, Protocol

from coder.sandbox.docker_container import SCRATCH
from coder.sandbox.setup_folder import Step
from coder.types import ExecResult

CLEANING_TIMEOUT_S = 120.0
MAX_STEP_CHARACTERS = 6_000
"""How much of one command's output the log keeps: its end."""

_ERROR: Final = re.compile(r"\b(?:error|fatal)\b", re.IGNORECASE)
_ABOUT_LOGS: Final = re.compile(r"_logs/|complete log of this run")

Ending = Literal["whole", "partial", "flagged", "stopped"]
"""partial: something optional is missing · flagged: not what the project asks for · stopped: it would not build."""


class Commands(Protocol):
    """The part of a sandbox that a setup phase needs."""

    def exec(
        self, command: str, *, timeout_s: float, cwd: str = ".", env: Mapping[str, str] | None = None
    ) -> ExecResult:
        """As `Sandbox.exec`."""
        ...


class Setup:
    """The steps of one setup phase, under the key that names their result."""

    def __init__(self, key: str, steps: Sequence[Step]) -> None:
        self.key = key
        self._steps = steps
        self._log: list[str] = []

    @property
    def log(self) -> str:
        """What was run and what came of it; what went wrong stands at the end once more, where it is seen."""
        return "\n".join(self._log)

    def carried_out(self, sandbox: Commands, *, timeout_s: float, progress: Callable[[str], None]) -> Ending:
        """Run the steps in `sandbox`, all of them within `timeout_s` seconds.

        Raises:
            SandboxError: The sandbox is gone.
        """
        complaints: list[str] = []
        ending: Ending = "whole"
        left_s = timeout_s
        for step in self._steps:
            outcome, spent_s = self._try(sandbox, step, left_s, progress, complaints)
            left_s -= spent_s
            if outcome == "failed" and step.on_failure == "stop":
                self._log += complaints
                return "stopped"
            if outcome == "failed" and step.on_failure == "flag":
                ending = "flagged"
            elif outcome != "ok" and ending == "whole":
                ending = "partial"
        self._log += complaints
        sandbox.exec(f"find {SCRATCH} -mindepth 1 -delete", timeout_s=CLEANING_TIMEOUT_S)
        return ending

    def _try(
        self,
        sandbox: Commands,
        step: Step,
        left_s: float,
        progress: Callable[[str], None],
        complaints: list[str],
    ) -> tuple[Literal["ok", "fallback", "failed"], float]:
        """Run a step, its fallbacks after it; what came of it and the seconds that it took."""
        spent_s, said = 0.0, ""
        for number, command in enumerate((step.command, *step.fallbacks)):
            shown = Step(command, step.folder).shown
            progress(f"setup: {shown[:300]}")
            result = sandbox.exec(command, timeout_s=max(left_s - spent_s, 1.0), cwd=step.folder)
            spent_s, said = spent_s + result.duration_s, _tail(result)
            self._log.append(f"$ {shown}\n{said}\n[{_ending(result)}, {result.duration_s:.1f} s]")
            if result.exit_code == 0:
                if number:
                    complaints.append(f"! with a fallback only, because this failed: {step.shown}")
                return ("fallback" if number else "ok"), spent_s
            progress(f"setup failed: {shown[:300]} ({_ending(result)})")
        complaints.append(f"! failed: {step.shown}: {_cause(said)[:300]}")
        return "failed", spent_s


def _cause(said: str) -> str:
    """The line that says why, as well as can be told: the last that calls itself an error, else the last."""
    lines = [line for line in said.splitlines() if line.strip() and not _ABOUT_LOGS.search(line)]
    return next((line for line in reversed(lines) if _ERROR.search(line)), lines[-1] if lines else "")


def _ending(result: ExecResult) -> str:
    return "timed out" if result.exit_code is None else f"exit code {result.exit_code}"


def _tail(result: ExecResult) -> str:
    text = result.output.rstrip()
    return text if len(text) <= MAX_STEP_CHARACTERS else f"[…]\n{text[-MAX_STEP_CHARACTERS:]}"
