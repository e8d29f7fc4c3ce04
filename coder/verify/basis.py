"""What a verdict rests on: the runs, and what was seen of the patch's tests. Values only."""

from dataclasses import dataclass
from typing import Literal

from typing_extensions import override

from coder.types import Cell, FlakyTest

Remedy = Literal["undo", "generalise", "none"]
"""none: it was seen in the runs, there is nothing to mend in the patch."""


@dataclass(frozen=True, slots=True)
class Finding:
    """Something about a patch's tests that a person must look at: where (line 0: no line of its own), and what."""

    path: str
    line: int
    what: str
    fatal: bool = False
    """The runs prove nothing when this is true: the runner itself may have been tampered with."""
    remedy: Remedy = "undo"
    """What the model is asked to do about it."""

    @override
    def __str__(self) -> str:
        return f"{self.path}:{self.line}: {self.what}" if self.line else f"{self.path}: {self.what}"


@dataclass(frozen=True, slots=True)
class Cells:
    """The runs. `base_new` and `head_old` are None for a patch that touches no test."""

    base: Cell
    head: Cell
    base_new: Cell | None = None
    head_old: Cell | None = None
    exit_codes_only: bool = False
    """The command cannot tell test ids: everything rests on exit codes."""
    changed: frozenset[str] = frozenset()
    """Test files and what they use, as far as the patch adds or changes it."""
    accounted: frozenset[tuple[str, str]] = frozenset()
    """Tests of the patch's files, by path and name, that are gone while others check what they checked."""
    unsteady: tuple[FlakyTest, ...] = ()
    """Tests that are steady on base and red now and then on head; counted as passed there."""
    by_order: tuple[str, ...] = ()
    """Of what newly fails, what passes when its file runs alone."""
    rewritten: tuple[Finding, ...] = ()
    """Lines of existing tests that the patch replaces."""

    @property
    def ran(self) -> tuple[Cell, ...]:
        """Those there are, in the order in which people read them."""
        return tuple(cell for cell in (self.base, self.base_new, self.head, self.head_old) if cell is not None)
