"""How good a code map is, measured on a repository's own history: which files and functions did past bug fixes change, and were they shown?

A case is a bug-fix commit that changes one to five source files in at most 300 lines. The map is made of its parent, from
what the commit says; it should show the files, and in each file the definitions, that the fix then changed.
"""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from coder.codemap.languages import TEXT, language_of
from coder.codemap.map import CodeMap
from coder.codemap.parsed import Definition
from coder.codemap.paths import is_test, is_worth_reading
from coder.codemap.tree import Tree
from coder.codemap.trees import commit_of, git_dir_of
from coder.errors import CodeMapError, InputError, WorkspaceError
from coder.workspace.git import Git
from coder.workspace.repository import Repository

_SEARCHED: Final = 40
"""Commits that are looked at for each case that is wanted: about one in fifteen is a case."""
_MAX_FILES: Final = 5
_MAX_LINES: Final = 300
_MIN_WORDS: Final = 2
_FIX = re.compile(r"\b(?:bug|fix(?:e[sd])?|crash|regression|broken)\b", re.IGNORECASE)
_NOT_CODE = re.compile(
    r"\b(?:typos?|docs?|documentation|readme|lint(?:er)?|tests?|ci|deps|dependenc(?:y|ies)|changelog|comments?|bump|build)\b",
    re.IGNORECASE,
)
_TRAILER = re.compile(
    r"^(?:(?:[A-Z][A-Za-z]+-[A-Za-z-]*by|change-id):.*|(?:fix(?:e[sd])?|closes?|refs?|resolves?):? #\d+[\s,.#\d]*|\(cherry picked.*)$",
    re.IGNORECASE | re.MULTILINE,
)
_REFERENCE = re.compile(r"\(?#\d+\)?|\(GH-\d+\)|https?://\S+")
_SCOPE = re.compile(r"^(?:\[[^\]]{1,40}\]\s*|\w+(?:\([^)]*\))?!? ?:\s+)+")
_HUNK = re.compile(r"^@@ -(\d+)(?:,(\d+))? ")


@dataclass(frozen=True, slots=True)
class Case:
    """A bug fix: what was said, and what was changed. `symbols` are the innermost definitions, by file."""

    sha: str
    message: str
    title: str
    symbols: Mapping[str, tuple[str, ...]]


@dataclass(frozen=True, slots=True)
class Score:
    """What part of a case a map shows. `symbols` is None when no definition was changed."""

    files: float
    symbols: float | None
    first: bool
    """Whether a changed file is the first of the map."""


@dataclass(frozen=True, slots=True)
class Setting:
    """From what and how large the maps of one column are."""

    name: str
    text: Callable[[Case], str]
    max_tokens: int


SETTINGS: Final = (
    Setting("message, 1000 tokens", lambda case: case.message, 1000),
    Setting("title, 1000 tokens", lambda case: case.title, 1000),
    Setting("message, 512 tokens", lambda case: case.message, 512),
    Setting("message, 4000 tokens", lambda case: case.message, 4000),
)


class History:
    """A repository's bug fixes.

    Raises:
        InputError: There is no repository at `path`.
    """

    def __init__(self, path: Path, maps: CodeMap) -> None:
        if not path.is_dir():
            raise InputError(f"{path} is not a folder")
        self._git = Git()
        self._git_dir = git_dir_of(path, self._git)
        self._repository = Repository(self._git_dir, git=self._git)
        self._maps = maps

    def cases(self, wanted: int, *, rev: str = "HEAD") -> Iterator[Case]:
        """The `wanted` most recent cases before `rev`, the latest first."""
        start = commit_of(self._git_dir, rev, self._git)
        args = ["log", "--no-merges", "--format=%H%x00%B%x1e", f"--max-count={wanted * _SEARCHED}", start]
        records = self._git.output(args, git_dir=self._git_dir).decode("utf-8", "replace").split("\x1e")
        found = 0
        for record in records:
            sha, _, message = record.strip().partition("\0")
            case = self._case(sha, message) if sha and is_fix(message) else None
            if case is not None:
                yield case
                found += 1
            if found == wanted:
                return

    def tree(self, case: Case) -> Tree:
        """The files before the fix."""
        return self._repository.tree(commit_of(self._git_dir, f"{case.sha}^", self._git))

    def _case(self, sha: str, message: str) -> Case | None:
        """The case that a commit is; None when it changes too much, nothing that is source, or cannot be read."""
        args = ["diff-tree", "-p", "-U0", "--no-renames", "--no-ext-diff", "--no-textconv", f"{sha}^", sha]
        finished = self._git.run(args, git_dir=self._git_dir)
        if finished.exit_code != 0:  # the first commit, or one beyond the end of a shallow history
            return None
        lines, size = changed_lines(finished.stdout.decode("utf-8", "surrogateescape"))
        sources = {path: numbers for path, numbers in lines.items() if _is_source(path)}
        said, title = cleaned(message)
        if not 1 <= len(sources) <= _MAX_FILES or size > _MAX_LINES or not title:
            return None
        case = Case(sha, said, title, dict.fromkeys(sources, ()))
        try:
            tree = self.tree(case)
            symbols = {path: touched(self._maps.definitions(tree, path), numbers) for path, numbers in sources.items()}
        except (CodeMapError, WorkspaceError):  # a changed file is generated, or the history ends here
            return None
        return Case(sha, said, title, symbols)


def is_fix(message: str) -> bool:
    """Whether a commit says that it repairs code, and says what."""
    title = message.strip().split("\n", 1)[0]
    words = _SCOPE.sub("", _REFERENCE.sub("", title)).split()
    return len(words) > _MIN_WORDS and _FIX.search(title) is not None and _NOT_CODE.search(title) is None


def cleaned(message: str) -> tuple[str, str]:
    """A commit message without what names the change and not the problem, and its title without its scope."""
    text = _REFERENCE.sub("", _TRAILER.sub("", message)).strip()
    return text, _SCOPE.sub("", text.split("\n", 1)[0]).strip()


def changed_lines(diff: str) -> tuple[dict[str, list[int]], int]:
    """The old side's changed lines of each file that a diff (`-U0`) modifies, and how many lines it changes in all."""
    found: dict[str, list[int]] = {}
    path, old, size, is_head = "", "", 0, True
    for line in diff.split("\n"):
        if line.startswith("diff --git "):
            is_head = True
        elif is_head and line.startswith("--- "):
            old = line[4:].rstrip("\t")
        elif is_head and line.startswith("+++ "):
            path = old[2:] if old.startswith("a/") and line.startswith("+++ b/") else ""
        elif (hunk := _HUNK.match(line)) is not None:
            is_head = False
            first, count = int(hunk[1]), int(hunk[2] or 1)
            if path:
                found.setdefault(path, []).extend(range(first, first + max(1, count)))
        elif line[:1] in {"+", "-"}:
            size += 1
    return found, size


def touched(definitions: Sequence[Definition], lines: Sequence[int]) -> tuple[str, ...]:
    """The names of the innermost definitions round some lines."""
    names: set[str] = set()
    for line in lines:
        around = [one for one in definitions if one.line <= line <= one.end_line]
        if around:
            names.add(min(around, key=lambda one: (one.end_line - one.line, one.name)).name)
    return tuple(sorted(names))


def score(text: str, case: Case) -> Score:
    """What part of a case a map shows: files by path, definitions by name in their file's part of the map."""
    sections: dict[str, str] = {}
    path = ""
    for line in text.split("\n"):
        if line.startswith("  "):
            sections[path] += "\n" + line
        else:
            path = line
            sections.setdefault(path, "")
    gold = [(file, name) for file, names in case.symbols.items() for name in names]
    shown = [_holds(sections.get(file, ""), name) for file, name in gold]
    return Score(
        files=sum(file in sections for file in case.symbols) / len(case.symbols),
        symbols=sum(shown) / len(shown) if shown else None,
        first=next(iter(sections)) in case.symbols,
    )


def evaluate(maps: CodeMap, history: History, cases: Sequence[Case]) -> dict[str, list[Score]]:
    """The scores of all cases, by the name of the setting.

    Raises:
        InputError: There are no cases.
    """
    if not cases:
        raise InputError("the history holds no bug fix that can be measured (1 to 5 source files, at most 300 lines)")
    found: dict[str, list[Score]] = {setting.name: [] for setting in SETTINGS}
    for case in cases:
        tree = history.tree(case)
        for setting in SETTINGS:
            text = maps.map(tree, focus=setting.text(case), max_tokens=setting.max_tokens)
            found[setting.name].append(score(text, case))
    return found


def means(scores: Sequence[Score]) -> dict[str, float]:
    """File recall, symbol recall and hits at the first place, from 0 to 1, as means over cases."""
    symbols = [one.symbols for one in scores if one.symbols is not None]
    return {
        "files": round(sum(one.files for one in scores) / len(scores), 3),
        "symbols": round(sum(symbols) / len(symbols), 3) if symbols else 0.0,
        "first": round(sum(one.first for one in scores) / len(scores), 3),
    }


def report(cases: Sequence[Case], scores: Mapping[str, Sequence[Score]]) -> str:
    """A table of the means."""
    lines = [f"{len(cases)} bug fixes, {sum(len(case.symbols) for case in cases)} files", ""]
    lines.append(f"{'map made from':<22} files  symbols  first")
    for name, column in scores.items():
        mean = means(column)
        lines.append(f"{name:<22} {mean['files']:.3f}    {mean['symbols']:.3f}  {mean['first']:.3f}")
    return "\n".join(lines)


def misses(cases: Sequence[Case], scores: Mapping[str, Sequence[Score]]) -> Iterator[str]:
    """A line for each case that the first setting's map does not show whole."""
    for case, one in zip(cases, scores[SETTINGS[0].name], strict=True):
        if one.files < 1 or (one.symbols is not None and one.symbols < 1):
            shares = f"{one.files:.2f} {'  - ' if one.symbols is None else f'{one.symbols:.2f}'}"
            changed = "; ".join(f"{path}: {', '.join(names)}" for path, names in case.symbols.items())
            yield f"{case.sha[:10]} {shares} {case.title[:70]} | {changed[:200]}"


def _holds(section: str, name: str) -> bool:
    return re.search(rf"(?<![\w$]){re.escape(name)}(?![\w$])", section) is not None


def _is_source(path: str) -> bool:
    return language_of(path) != TEXT and is_worth_reading(path) and not is_test(path)
