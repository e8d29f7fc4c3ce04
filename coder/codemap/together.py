"""What changes together: files that the commits of the past changed along with one."""

from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from math import log
from typing import Final

from coder.codemap.render import printable

_SHOWN: Final = 15
_LEAST: Final = 2
"""Once is chance."""


@dataclass(frozen=True, slots=True)
class Companion:
    """A file that changed together with another one."""

    path: str
    times: int
    share: float
    """Of the other one's changes, in how many this one changed too."""


@dataclass(frozen=True, slots=True)
class Together:
    """The companions of a file, the telling ones first."""

    path: str
    changed: int
    """Commits that changed it, among those that were looked at."""
    commits: int
    companions: tuple[Companion, ...] = ()

    def text(self) -> str:
        """A line for each companion."""
        seen = f"{printable(self.path)} changed in {self.changed} of the last {self.commits} commits"
        if not self.companions:
            return f"{seen}; no other file changed with it more than once"
        lines = [f"  {one.share:4.0%}  {one.times}x  {printable(one.path)}" for one in self.companions]
        return "\n".join([f"{seen}; with it:", *lines])


def together(changes: Sequence[Sequence[str]], path: str, files: Collection[str]) -> Together:
    """What changed along with `path` (a file, or a folder as a whole) and is still among `files`.

    A file that changes in every commit (a change log, a version) weighs less than one that changes with this one only.
    """
    folder = path.rstrip("/") + "/"
    mine = [(paths, [one for one in paths if one == path or one.startswith(folder)]) for paths in changes]
    mine = [(paths, own) for paths, own in mine if own]
    overall = Counter(one for paths in changes for one in paths)
    times = Counter(one for paths, own in mine for one in paths if one not in own)
    worth = {
        one: count * log(1 + len(changes) / overall[one])
        for one, count in times.items()
        if count >= _LEAST and one in files and not one.startswith(folder)
    }
    best = sorted(worth, key=lambda one: (-round(worth[one], 9), one))[:_SHOWN]
    companions = tuple(Companion(one, times[one], times[one] / len(mine)) for one in best)
    return Together(path, len(mine), len(changes), companions)
