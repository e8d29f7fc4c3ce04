"""The shape of a test: what it checks, how strictly, and what may keep it from counting; two shapes compared. Pure.

A test that is gone is accounted for when another holds what it held: it was renamed, moved, or became rows of a table.
"""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field

from coder.verify.basis import Finding


@dataclass(frozen=True, slots=True)
class Shape:
    """One test function."""

    line: int
    strict: int = 0
    """Checks that compare with an expectation."""
    loose: int = 0
    """Checks of less: that something is true, contains something, or is not something."""
    skips: int = 0
    delays: int = 0
    """Sleeps and retries."""
    constants: frozenset[str] = field(default_factory=frozenset)
    """Literals: inputs and expectations."""
    names: frozenset[str] = field(default_factory=frozenset)
    """What it calls."""

    @property
    def checks(self) -> int:
        """All of them."""
        return self.strict + self.loose

    def joined(self, other: "Shape") -> "Shape":
        """Both as one: tests of the same name."""
        return Shape(
            self.line,
            self.strict + other.strict,
            self.loose + other.loose,
            self.skips + other.skips,
            self.delays + other.delays,
            self.constants | other.constants,
            self.names | other.names,
        )


Shapes = Mapping[str, Shape]
"""Tests by their names in a file."""


@dataclass(frozen=True, slots=True)
class Compared:
    """What became of the tests of a patch's files."""

    findings: tuple[Finding, ...]
    accounted: frozenset[tuple[str, str]]
    """Tests that are gone by path and name, though what they checked is not."""


def compared(old: Mapping[str, Shapes], new: Mapping[str, Shapes], pool: Collection[str]) -> Compared:
    """Hold the tests of each file before against those after; `pool` are literals that stand elsewhere in the new files."""
    found: list[Finding] = []
    accounted: set[tuple[str, str]] = set()
    changed = [
        shape for path, shapes in new.items() for name, shape in shapes.items() if shape != old.get(path, {}).get(name)
    ]
    for path, shapes in old.items():
        for name, shape in shapes.items():
            now = new.get(path, {}).get(name)
            if now is not None:
                found.extend(Finding(path, now.line, f"the test {name} {what}") for what in _weaker(shape, now, pool))
            elif not shape.checks or any(_holds(one, shape, pool) for one in changed):
                accounted.add((path, name))
            else:
                found.append(Finding(path, shape.line, f"the test {name} was deleted or renamed"))
    return Compared(tuple(found), frozenset(accounted))


def fresh(old: Mapping[str, Shapes], new: Mapping[str, Shapes]) -> tuple[Shape, ...]:
    """The tests that are new or ask for something else."""
    pairs = ((shape, old.get(path, {}).get(name)) for path, shapes in new.items() for name, shape in shapes.items())
    return tuple(shape for shape, was in pairs if was is None or was.constants != shape.constants)


def _holds(new: Shape, old: Shape, pool: Collection[str]) -> bool:
    """Whether one test checks what another did."""
    return (
        new.skips <= old.skips
        and new.checks > 0
        and (new.strict > 0 or not old.strict)
        and (new.strict >= old.strict or old.constants <= new.constants)
        and old.names <= new.names
        and old.constants <= new.constants | {*pool}
        and bool(old.constants or old.names)
    )


def _weaker(old: Shape, new: Shape, pool: Collection[str]) -> Iterator[str]:
    """What a test that is still there lost."""
    if new.skips > old.skips:
        yield "may now be skipped or fail unnoticed, or others are left out for it"
    if new.delays > old.delays:
        yield "now waits, or is tried again"
    if new.loose > old.loose and new.strict < old.strict:
        yield f"asserts less: {old.strict} of {old.checks} checks compared before, {new.strict} of {new.checks} now"
    elif new.checks < old.checks and not _holds(new, old, pool):
        yield f"asserts less: {old.checks} checks before, {new.checks} now"
