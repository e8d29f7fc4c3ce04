"""`coder map`: the files and functions that matter for a problem. Loads nothing that a map does not need, so that it comes at once."""

import argparse
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final, TextIO

from coder.codemap.command import Question, answer, language_table, map_text
from coder.codemap.index import Index, Key
from coder.codemap.maps import Maps
from coder.codemap.tree import Tree
from coder.codemap.worktrees import work_tree
from coder.errors import CoderError, InputError
from coder.places import state_dir

_LEAST_TOKENS: Final = 64


def program(arguments: Sequence[str]) -> int:
    """The command with its arguments, as a process: its exit code, 2 for wrong usage. Errors of ours are one line."""
    try:
        run(arguments)
    except CoderError as exc:
        _say(str(exc))
        return exc.exit_code
    except KeyboardInterrupt:
        _say("interrupted; what was read is kept")
        return 130
    return 0


def run(arguments: Sequence[str]) -> None:
    """Print what is asked for.

    Raises:
        CoderError: It cannot be answered.
    """
    given = _parser().parse_args(arguments)
    if given.languages:
        sys.stdout.write(language_table(as_json=given.json) + "\n")
        return
    state = state_dir(given.config)
    question = Question(
        _text(given.issue_file) if given.issue_file else given.focus,
        given.tokens,
        symbol=given.symbol,
        outline=given.outline,
        tests_of=given.tests_of,
        stats=given.stats,
        why=given.why,
        as_json=given.json,
    )
    question.check()
    tree = _tree(given.path, given.rev)
    state.mkdir(parents=True, exist_ok=True, mode=0o700)
    watch = Watch(given.wait, sys.stderr if sys.stderr.isatty() else None)
    sys.stdout.write(_answered(state / "codemap.sqlite", tree, question, watch) + "\n")


class Watch:
    """Waits so many seconds (None: as long as it takes) for what is read the first time, and shows how far it is."""

    def __init__(
        self, wait_s: float | None, terminal: TextIO | None, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._clock = clock
        self._end = None if wait_s is None else clock() + wait_s
        self._terminal = terminal

    def __call__(self, done: int, total: int) -> bool:
        """Whether to read on."""
        is_over = done >= total or (self._end is not None and self._clock() >= self._end)
        if self._terminal is not None:
            text = f"reading {total} files: {100 * done // total} %"
            self._terminal.write("\r" + (" " * len(text) + "\r" if is_over else text))
            self._terminal.flush()
        return not is_over

    def build(self, tree: Tree, index: Index, missing: Mapping[Key, str]) -> None:
        """Read new blobs: mostly there are none, and the parsers need not be loaded."""
        from coder import logs
        from coder.codemap.build import build

        logs.for_people(str)  # there are no secrets in it
        build(tree, index, missing, watch=self)


def _tree(path: Path, rev: str) -> Tree:
    if not rev:
        with suppress(InputError):  # a bare repository, or none: the other way says which
            return work_tree(path)
    from coder.codemap.trees import tree_at

    return tree_at(path, rev)


def _answered(index: Path, tree: Tree, question: Question, watch: Watch) -> str:
    """The answer, by as little of the code map as can give it."""
    if question.is_plain:
        with Maps(index, watch.build, _say) as maps:
            return map_text(maps, tree, question)
    from coder import logs
    from coder.codemap.map import CodeMap

    logs.for_people(str)
    with CodeMap(index, watch=watch) as codemap:
        return answer(codemap, tree, question)


def _say(text: str) -> None:
    sys.stderr.write(f"coder: {text}\n")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        "coder map", description="Show the files and functions that matter for a problem.", allow_abbrev=False
    )
    add = parser.add_argument
    add("path", nargs="?", type=Path, default=Path(), help="a checkout, a folder in one, or a bare repository")
    add("--focus", default="", metavar="TEXT", help="the problem, in words")
    add("--issue-file", type=Path, metavar="FILE", help="the problem, in a file")
    add("--tokens", type=_tokens, default=1_000, metavar="N", help="size of the map (1000)")
    add("--why", action="store_true", help="say what put each file there")
    add("--symbol", default="", metavar="NAME", help="where a name is defined and used, instead of a map")
    add(
        "--outline",
        default="",
        metavar="PATH",
        help="the definitions of one file, or what is in a folder, instead of a map",
    )
    add("--tests-of", default="", metavar="FILE|NAME", help="the tests that touch it, instead of a map")
    add("--stats", action="store_true", help="what is read and how, instead of a map")
    add("--languages", action="store_true", help="the languages that are parsed")
    add("--rev", default="", help="a commit, branch or tag, instead of the files on the disk")
    add("--wait", type=float, metavar="SECONDS", help="answer after so long with what is read by then")
    add("--json", action="store_true", help="as JSON")
    add("--config", type=Path, metavar="FILE", help="configuration file (TOML)")
    return parser


def _tokens(text: str) -> int:
    number = int(text)
    if number < _LEAST_TOKENS:
        raise argparse.ArgumentTypeError(f"at least {_LEAST_TOKENS}")
    return number


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError as exc:
        raise InputError(f"cannot read {path}: {exc.strerror or exc}") from exc
