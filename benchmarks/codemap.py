"""How fast the code map is on a repository: `python -m benchmarks.codemap [--repo DIR] [--quick]`.

Everything is measured on a clone, as whole commands: `coder map` with nothing known (cold), with all known (warm), and after
one file was edited. The floor is two processes that read, parse and query every source file and keep nothing. Rounds
alternate; figures are medians. CPU is of a process with all that it started, memory of the largest of them. The last line is
one JSON object.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Final, NamedTuple

from coder.codemap.languages import TEXT, language_of
from coder.codemap.paths import is_worth_reading
from coder.codemap.tokens import tokens

ROOT: Final = Path(__file__).resolve().parents[1]
FOCUS: Final = "Wrong result when a request is retried after a timeout and the cache holds an old session"
REPEATS: Final = 3
"""Warm maps and edits of a round: they are short, and the machine is not quiet."""
AIDER: Final = {
    "flask": (4.83, 4.35, 3.70),
    "core": (12.97, 4.15, 4.11),
    "prometheus": (15.91, 7.48, 6.73),
    "sympy": (23.93, 10.01, 9.24),
    "spring-framework": (102.3, 31.8, 34.9),
}
"""Seconds cold, warm and after an edit of aider 0.86.2, noted once on another machine, for orientation only."""
FLOOR: Final = """
import importlib, json, sys, tree_sitter
from coder.codemap.languages import BY_NAME, language_of
tools = {}
for path in json.load(sys.stdin):
    row = BY_NAME[language_of(path)]
    if row.name not in tools:
        grammar = tree_sitter.Language(getattr(importlib.import_module(row.module), row.factory)())
        query = tree_sitter.Query(grammar, row.query_path.read_text(encoding="utf-8"))
        tools[row.name] = tree_sitter.Parser(grammar), query
    parser, query = tools[row.name]
    with open(path, "rb") as file:
        source = file.read(1_000_001)
    tree_sitter.QueryCursor(query, match_limit=65536).matches(parser.parse(source).root_node, lambda *given: True)
"""


class Cost(NamedTuple):
    """What a process took, with all that it started."""

    wall_s: float
    cpu_s: float
    peak_mb: float


def measured(commands: Sequence[Sequence[str]], stdins: Sequence[str], state: Path) -> tuple[Cost, str]:
    """The cost of commands that run at once, and what they printed."""
    environment = {"PATH": "/usr/local/bin:/usr/bin:/bin", "HOME": str(state), "CODER_STATE_DIR": str(state)}
    environment["PYTHONPATH"] = str(ROOT)
    cpu_s = peak_mb = 0.0
    with ExitStack() as stack:
        start = time.monotonic()
        running = []
        said = stack.enter_context(tempfile.TemporaryFile())
        for command, text in zip(commands, stdins, strict=True):
            given = stack.enter_context(tempfile.TemporaryFile())
            given.write(text.encode())
            given.seek(0)
            running.append(subprocess.Popen(command, stdin=given, stdout=said, env=environment))
        for process in running:
            _, status, usage = os.wait4(process.pid, 0)
            process.returncode = os.waitstatus_to_exitcode(status)
            if process.returncode:
                raise SystemExit(f"{process.args!r} ended with {process.returncode}")
            cpu_s += usage.ru_utime + usage.ru_stime
            peak_mb = max(peak_mb, usage.ru_maxrss / 1024)
        wall_s = time.monotonic() - start
        said.seek(0)
        return Cost(wall_s, cpu_s, peak_mb), said.read().decode()


def mapped(repo: Path, state: Path) -> tuple[Cost, str]:
    """One `coder map`."""
    return measured([[sys.executable, "-m", "coder", "map", str(repo), "--focus", FOCUS]], [""], state)


def floor(repo: Path, paths: list[str], state: Path) -> Cost:
    """Reading, parsing and querying `paths` in two processes; the larger files are dealt out first."""
    by_size = sorted(paths, key=lambda path: -(repo / path).stat().st_size)
    parts = [json.dumps([str(repo / path) for path in part]) for part in (by_size[::2], by_size[1::2])]
    return measured([[sys.executable, "-c", FLOOR]] * 2, parts, state)[0]


class Round(NamedTuple):
    """The costs of one round."""

    floor: Cost
    cold: Cost
    warm: list[Cost]
    edit: list[Cost]
    index_mb: float
    tokens: int


def one_round(repo: Path, paths: list[str], folder: Path) -> Round:
    """Measure everything once, the short things several times."""
    bottom = floor(repo, paths, folder)
    cold, text = mapped(repo, folder)
    edited = repo / paths[0]
    before = edited.read_bytes()
    warm, edit = [], []
    for number in range(REPEATS):
        warm.append(mapped(repo, folder)[0])
        edited.write_bytes(before + b"\n" * (number + 1))
        edit.append(mapped(repo, folder)[0])
    edited.write_bytes(before)
    index_mb = sum(one.stat().st_size for one in folder.glob("codemap.sqlite*")) / 1e6
    return Round(bottom, cold, warm, edit, index_mb, tokens(text))


def clone(repo: Path, folder: Path) -> tuple[Path, list[str]]:
    """A clone that may be edited, and its files."""
    target = folder / repo.name
    for args in (
        ["clone", "--quiet", "--shared", str(repo), str(target)],
        ["-C", str(target), "update-index", "-q", "--refresh"],
    ):
        if subprocess.run(["git", *args], check=False).returncode:
            raise SystemExit(f"{repo} is no git repository that can be cloned")
    listed = subprocess.run(["git", "-C", str(target), "ls-files", "-z"], capture_output=True, check=True).stdout
    return target, [path for path in os.fsdecode(listed).split("\0") if path]


def measure(given: Path, rounds: int) -> dict[str, float]:
    """All figures."""
    with tempfile.TemporaryDirectory() as name:
        repo, files = clone(given, Path(name))
        paths = [path for path in files if language_of(path) != TEXT and is_worth_reading(path)]
        paths = [path for path in paths if (repo / path).is_file() and not (repo / path).is_symlink()]
        if not paths:
            raise SystemExit(f"{given} has no source file in a language that is parsed")
        done = []
        for number in range(rounds):
            with tempfile.TemporaryDirectory() as folder:
                done.append(one_round(repo, paths, Path(folder)))
            print(f"round {number + 1}: {told(done[-1])}", flush=True)
    if repo.name in AIDER:
        print(f"aider 0.86.2, noted on another machine: cold, warm, one edit {AIDER[repo.name]} s")
    return figures(done) | {"files": len(files), "source_files": len(paths)}


def told(one: Round) -> str:
    """A round as a line."""
    return (
        f"floor {one.floor.wall_s:.2f} s, cold {one.cold.wall_s:.2f} s, warm {one.warm[-1].wall_s:.3f} s, "
        f"one edit {one.edit[-1].wall_s:.3f} s"
    )


def figures(done: Sequence[Round]) -> dict[str, float]:
    """Medians over rounds, ratios within them."""
    median = statistics.median
    warm, edit = [one for each in done for one in each.warm], [one for each in done for one in each.edit]
    return {
        "cold_s": round(median(one.cold.wall_s for one in done), 3),
        "cold_cpu_s": round(median(one.cold.cpu_s for one in done), 3),
        "parse_floor_s": round(median(one.floor.wall_s for one in done), 3),
        "parse_floor_cpu_s": round(median(one.floor.cpu_s for one in done), 3),
        "cold_over_floor": round(median(one.cold.wall_s / one.floor.wall_s for one in done), 3),
        "cold_cpu_over_floor": round(median(one.cold.cpu_s / one.floor.cpu_s for one in done), 3),
        "warm_s": round(median(one.wall_s for one in warm), 4),
        "warm_cpu_s": round(median(one.cpu_s for one in warm), 4),
        "one_edit_s": round(median(one.wall_s for one in edit), 4),
        "one_edit_cpu_s": round(median(one.cpu_s for one in edit), 4),
        "peak_rss_mb": round(max(one.cold.peak_mb for one in done), 1),
        "index_mb": round(max(one.index_mb for one in done), 1),
        "tokens": max(one.tokens for one in done),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repo", type=Path, default=ROOT, help="a git repository; this project's own when not given")
    parser.add_argument("--quick", action="store_true", help="one round")
    given = parser.parse_args()
    print(json.dumps(measure(given.repo.resolve(), 1 if given.quick else 5)))


if __name__ == "__main__":
    main()
