"""How much is done for a verdict: an operator's choice between certainty and time."""

from pydantic import Field

from coder.types import Value


class ProofRules(Value):
    """Caps of one verdict. Seconds are those of test runs; containers are not counted."""

    repeat: int = Field(default=4, ge=2, le=20)
    """Runs of a test in doubt: one that newly fails, and one that the proof rests on."""
    repeat_s: float = Field(default=600, ge=0)
    """Seconds for repeating, beyond the runs that every verdict takes."""
    suite_s: float = Field(default=3_600, gt=0)
    """Seconds for all runs: in a suite that does not fit, the tests that have to do with the change are run first."""
    max_hunks: int = Field(default=12, ge=0)
    """Parts of a proven change that are taken out, one by one, to see whether any test needs them."""
    ablation_s: float = Field(default=300, ge=0)
    """Seconds for that."""
