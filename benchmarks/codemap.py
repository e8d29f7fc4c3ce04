"""How fast the code map is on a repository: `python -m benchmarks.codemap [--repo DIR] [--quick]`.

Cold, warm and one-edit times are of whole processes; the floor is reading and parsing every source file in two processes
with nothing kept. The last line is one JSON object.
"""

import argparse
import json
import os
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path

from coder.codemap.languages import TEXT, language_of
from coder.codemap.map import CodeMap
from coder.codemap.paths import is_worth_reading
from coder.codemap.tokens import tokens
from coder.codemap.tree import READ_LIMIT

FOCUS = "Wrong result when a request is retried after a timeout and the cache holds an old session"
EDIT = b"\n\ndef edited_by_the_benchmark():\n    return 1\n"

FLOOR = """
import importlib, json, sys, tree_sitter
from coder.codemap.languages import BY_NAME, language_of
parsers = {}
for path in json.load(sys.stdin):
    row = BY_NAME[language_of(path)]
    if row.name not in parsers:
        parsers[row.name] = tree_sitter.Parser(tree_sitter.Language(getattr(importlib.import_module(row.module), row.factory)()))
    with open(path, "rb") as file:
        parsers[row.name].parse(file.read(1_000_001))
"""


class CheckoutTree:
    """The tracked files of a checkout as they are committed; `edited` says one of them differently."""

    def __init__(self, root: Path, *, edited: str | None = None) -> None:
        listed = subprocess.run(
            ["git", "-C", str(root), "ls-files", "-s", "-z"], capture_output=True, check=True
        ).stdout
        self._root = root
        self._edited = edited
        self._files: dict[str, str] = {}
        for entry in filter(None, listed.split(b"\0")):
            head, _, path = entry.partition(b"\t")
            mode, sha, _stage = head.split()
            if mode in {b"100644", b"100755"}:
                self._files[os.fsdecode(path)] = sha.decode()
        if edited is not None:
            self._files[edited] = f"edited-{time.time_ns()}"

    def files(self) -> Mapping[str, str]:
        """Path → blob id."""
        return self._files

    def read(self, path: str) -> bytes:
        """The file's bytes, with the edit."""
        with (self._root / path).open("rb") as file:
            return file.read(READ_LIMIT) + (EDIT if path == self._edited else b"")


def sources(tree: CheckoutTree) -> list[str]:
    """The files that a grammar reads."""
    return [path for path in sorted(tree.files()) if language_of(path) != TEXT and is_worth_reading(path)]


def one_map(repo: Path, index: Path, *, edit: bool) -> None:
    """Map once and say what it took: the body of a measured process."""
    edited = None
    if edit:
        edited = sources(CheckoutTree(repo))[0]
    with CodeMap(index) as codemap:
        text = codemap.map(CheckoutTree(repo, edited=edited), focus=FOCUS, max_tokens=1000)
    own = resource.getrusage(resource.RUSAGE_SELF)
    workers = resource.getrusage(resource.RUSAGE_CHILDREN)
    peak_mb = max(own.ru_maxrss, workers.ru_maxrss) / 1024
    cpu_s = own.ru_utime + own.ru_stime + workers.ru_utime + workers.ru_stime
    sys.stdout.write(json.dumps({"tokens": tokens(text), "peak_mb": peak_mb, "cpu_s": cpu_s}))


def measured(repo: Path, index: Path, *, edit: bool = False) -> tuple[float, dict[str, float]]:
    """Wall seconds of a whole process that maps once, and what it says of itself."""
    command = [sys.executable, "-m", "benchmarks.codemap", "--repo", str(repo), "--one", str(index)]
    start = time.monotonic()
    done = subprocess.run([*command, *(["--edit"] if edit else [])], capture_output=True, check=True)
    return time.monotonic() - start, json.loads(done.stdout)


def floor_s(repo: Path, paths: list[str]) -> float:
    """Wall seconds to read and parse `paths` in two processes."""
    start = time.monotonic()
    processes = []
    for part in (paths[::2], paths[1::2]):
        process = subprocess.Popen([sys.executable, "-c", FLOOR], stdin=subprocess.PIPE)
        assert process.stdin is not None
        process.stdin.write(json.dumps([str(repo / path) for path in part]).encode())
        process.stdin.close()
        processes.append(process)
    for process in processes:
        if process.wait():
            raise SystemExit("the floor's parser died: measure on a repository without hostile files")
    return time.monotonic() - start


def measure(repo: Path, rounds: int) -> dict[str, float]:
    """All figures, medians over alternating rounds."""
    files = sorted(CheckoutTree(repo).files())
    parsed = sources(CheckoutTree(repo))
    if not parsed:
        raise SystemExit(f"{repo} has no source file in a language that is parsed")
    floors, colds, peaks, cpus = [], [], [], []
    warms: list[float] = []
    edits: list[float] = []
    used = 0.0
    for number in range(rounds):
        with tempfile.TemporaryDirectory() as folder:
            index = Path(folder) / "index.db"
            floors.append(floor_s(repo, parsed))
            seconds, said = measured(repo, index)
            colds.append(seconds)
            cpus.append(said["cpu_s"])
            peaks.append(said["peak_mb"])
            warms.extend(measured(repo, index)[0] for _ in range(3))
            edits.extend(measured(repo, index, edit=True)[0] for _ in range(3))
            used = said["tokens"]
        print(
            f"round {number + 1}: floor {floors[-1]:.2f} s, cold {colds[-1]:.2f} s, warm {warms[-1]:.3f} s, one edit {edits[-1]:.3f} s"
        )
    return {
        "files": len(files),
        "source_files": len(parsed),
        "cold_s": round(statistics.median(colds), 3),
        "cold_cpu_s": round(statistics.median(cpus), 3),
        "parse_floor_s": round(statistics.median(floors), 3),
        "cold_over_floor": round(statistics.median(cold / floor for cold, floor in zip(colds, floors, strict=True)), 3),
        "warm_s": round(statistics.median(warms), 4),
        "one_edit_s": round(statistics.median(edits), 4),
        "peak_rss_mb": round(max(peaks), 1),
        "tokens": used,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--repo", type=Path, default=Path.cwd(), help="a git checkout; this project's own when not given"
    )
    parser.add_argument("--quick", action="store_true", help="one round")
    parser.add_argument("--one", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--edit", action="store_true", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.one is not None:
        one_map(given.repo, given.one, edit=given.edit)
        return
    if shutil.which("git") is None or not (given.repo / ".git").exists():
        raise SystemExit(f"{given.repo} is not a git checkout")
    print(json.dumps(measure(given.repo.resolve(), 1 if given.quick else 5)))


if __name__ == "__main__":
    main()
