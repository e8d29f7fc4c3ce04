"""What starts the tests: programs of the repository that the test command runs, straight or through scripts.

A patch that changes one decides by itself how its proof ends. Read as text, from the commit that the patch stands on.
"""

import json
import posixpath
import re
from collections.abc import Callable, Collection, Iterator, Mapping
from typing import Final

from coder.verify.basis import Finding
from coder.verify.tests_of import is_test

Read = Callable[[str], bytes | None]

_MAX_TEXTS: Final = 20
_MAX_BYTES: Final = 50_000
_MAX_LINE: Final = 1_000
_SCRIPTS: Final = 2
"""The depth of scripts: the command itself is 0, the tasks that it names 1."""
_INTERPRETERS: Final = r"(?:(?:ba|da|z)?sh|python[\d.]*|node|ruby|perl|php|tsx|deno run|bun)"
_STARTED: Final = re.compile(
    rf"(?:^|&&|\|\||;|\||\$\(|`)[ \t@(-]*+(?:(?:\w+=\S*|exec|env|time|xvfb-run|npx|source|\.)\s+)*(?:{_INTERPRETERS}(?:\s+-\S+)*\s+)?([\w./-]+)",
    re.MULTILINE,
)
"""The program of each simple command, or the file that an interpreter is given."""
_MANAGERS: Final = re.compile(r"\b(?:npm|pnpm|yarn|bun|run-s|run-p|npm-run-all)\b")
_OF_TESTS: Final = re.compile(r"test|check|spec|verify|\bci\b", re.IGNORECASE)
_SUCCESS: Final = re.compile(
    r"\b(?:process\.exit|os\.Exit|process::exit|System\.exit|sys\.exit|os\._exit|\b_?exit|quick_exit)\s*\(\s*0?\s*\)"
    r"|\bprocess\.exitCode\s*=\s*0\b|\bSystemExit\s*\(\s*0?\s*\)|\btrap\b.*\bexit\s+0\b"
)
ALWAYS_RUN: Final = ("pretest", "test", "posttest", "test:unit", "test-unit", "unit", "unit-test", "tests")
"""Scripts of a package that have to do with tests by their names."""


def launched(command: str, changed: Collection[str], read: Read) -> Iterator[Finding]:
    """A finding for each file of the patch that `command` starts; fatal where it does nothing but run tests.

    A script may well start what is under test (`./shop --self-test`): below the command itself, names have to tell.
    """
    told = set[str]()
    for text, depth in _texts(command, read):
        for path, data in _started(text, read):
            is_runner = bool(_OF_TESTS.search(path)) or (depth == 0 and _is_plain(path, data))
            if path in changed and path not in told and not is_test(path) and (is_runner or depth < _SCRIPTS):
                told.add(path)
                yield Finding(path, 0, "it runs the tests, and was changed", fatal=is_runner)


def _texts(command: str, read: Read) -> Iterator[tuple[str, int]]:
    """The command, what make and a package's scripts make of it, and the scripts that these start; with their depths."""
    texts, told = [(command, 0)], {""}
    for text, depth in texts:  # grows while it is read
        yield text, depth
        found = [(path, data, _SCRIPTS) for path, data in _started(text, read) if _is_plain(path, data)]
        if re.search(r"\bmake\b", text):
            found.append(("Makefile", re.sub(rb"(?m)^\t[@-]*", b"", read("Makefile") or b""), 1))
        if _MANAGERS.search(text):
            scripts = "\n".join(scripts_of_tests(read("package.json") or b"").values())
            found.append(("package.json", scripts.encode(), 1))
        for path, data, level in found:
            if path not in told and len(texts) < _MAX_TEXTS:
                told.add(path)
                texts.append((data[:_MAX_BYTES].decode("utf-8", "replace"), max(level, depth)))


def _started(text: str, read: Read) -> Iterator[tuple[str, bytes]]:
    """The files of the repository that the commands of a text start."""
    for match in _STARTED.finditer(text):
        path = posixpath.normpath(match[1])
        if (data := read(path)) is not None:
            yield path, data


def _is_plain(path: str, data: bytes) -> bool:
    """Whether it is a script of a shell."""
    return posixpath.splitext(path)[1] in {"", ".sh", ".bash", ".zsh"} and b"\0" not in data


def scripts_of_tests(package: bytes) -> Mapping[str, str]:
    """The scripts of a package.json that running its tests comes to, by name."""
    try:
        scripts = json.loads(package)["scripts"]
        known = {name: text for name, text in scripts.items() if isinstance(text, str)}
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError):
        return {}
    wanted = [name for name in ALWAYS_RUN if name in known]
    for name in wanted:  # grows while it is read
        words = {*re.findall(r"[\w:.-]+", known[name])}
        hooks = {f"{hook}{one}" for one in words for hook in ("pre", "post")}
        wanted += [other for other in known if other in words | hooks and other not in wanted]
    return {name: known[name] for name in wanted}


def ends_with_success(path: str, old: bytes | None, new: bytes | None) -> Iterator[Finding]:
    """A fatal finding for a line, new in this source file, that ends the process as if all were well.

    Where a suite is judged by its exit code only, that is all it takes to make it green.
    """
    was = {line.strip() for line in (old or b"").decode("utf-8", "replace").splitlines()}
    for number, line in enumerate((new or b"").decode("utf-8", "replace").splitlines(), start=1):
        if line.strip() not in was and _SUCCESS.search(line[:_MAX_LINE]):
            yield Finding(
                path, number, "ends the process with success, and the tests are judged by their exit code", fatal=True
            )
            return
