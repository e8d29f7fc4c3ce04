"""What a run may do: an operator's choice, never the model's."""

from typing import Literal
from urllib.parse import quote

from pydantic import Field

from coder.types import Value, VerdictKind
from coder.verify.rules import ProofRules
from coder.workspace.policy import PatchRules


class Policy(Value):
    """The rules of the section `[policy]`."""

    max_rounds: int = Field(default=3, ge=1)
    """How often the tests may send the work back."""
    publish: tuple[VerdictKind, ...] = ("proven", "passing", "unverified")
    """Verdicts that are published; a draft unless `proven`."""
    ready: Literal["checks", "verdict", "never"] = "checks"
    """When a proven change stops being a draft: once the repository's own checks of it are green, at once, or by hand."""
    setup: tuple[str, ...] | None = None
    """Commands that install the dependencies; None takes `.coder.yml`'s, or finds them out."""
    without_setup: bool = False
    """Go on where the setup phase failed altogether; such a run proves little, and its pull request says so."""
    test_command: str | None = None
    """How the tests are run; None finds it out."""
    test_timeout_s: float = Field(default=900, gt=0)
    """Wall clock of one run of the tests."""
    baseline_s: float = Field(default=120, ge=0)
    """Most seconds for one run of the tests before the work begins, of which the model is told; 0 is none."""
    proof: ProofRules = ProofRules()
    map_tokens: int = Field(default=1_500, ge=128)
    """Size of the code map in the opening message."""
    history: int = Field(default=50, ge=1)
    """Commits of history that the sandbox gets."""
    patch: PatchRules = PatchRules()
    reviewer: str = ""
    """Profile of a model that reviews each change which the tests accept; `same`: the run's own, in a fresh conversation."""
    keep_work: Literal["branch", "none"] = "branch"
    """Where work goes that is not worth a pull request: onto a branch of its own, or nowhere but the journal."""
    trace_url: str = ""
    """Address of a run's page with `{run}` in it, when the service can be reached by readers; named in pull requests."""
    author_name: str = "coder[bot]"
    author_email: str = "coder[bot]@users.noreply.github.com"
    recorded: bool = False
    """The model's answers are played back from a recording; said wherever the run shows."""

    def trace_of(self, run_id: str) -> str:
        """The address of a run's page; empty where there is none."""
        return self.trace_url.replace("{run}", quote(run_id, safe=""))
