"""Texts made to make regular expressions slow: what grows by the square of its input never ends on a megabyte."""

from collections.abc import Callable

import pytest

from coder.codemap.boilerplate import without_boilerplate
from coder.verify.canary import is_module
from coder.verify.excerpt import excerpt
from coder.verify.expectations import changed_lines
from coder.verify.integrity import inspected
from coder.verify.launchers import ends_with_success, launched
from coder.verify.lines import read_minitest, read_tap, read_unittest

SIZE = 200_000
UNITS = ("a", "_", "9.", "#", "&#", " ", "\n", "\r\n", '\\"', "trap ", "exit( ", "== 1 return ", "```a", "a (b) ... ")
TEXTS = [unit * (SIZE // len(unit)) for unit in UNITS] + ["== 1 return" + " " * SIZE + "x", "x" + " " * SIZE + "\n"]
NAMES = {"js": "a.test.js", "go": "a_test.go", "rs": "tests/a.rs", "rb": "spec/a_spec.rb", "py": "test_a.py"}


def looked_at(ending: str) -> Callable[[str], object]:
    def look(text: str) -> object:
        files = {f"src/a.{ending}": text.encode(), NAMES[ending]: text.encode()}
        changed_lines(list(files), lambda _: b"x\n", files.get)
        return inspected(files, lambda _: b"", files.get)

    return look


READERS: dict[str, Callable[[str], object]] = {
    **{f"a patch in {ending}": looked_at(ending) for ending in NAMES},
    "what starts the tests": lambda text: list(launched(text, {"a"}, lambda _: None)),
    "an end with success": lambda text: list(ends_with_success("a", b"", text.encode())),
    "a failure": lambda text: excerpt(text, ["a::b"]),
    "unittest": lambda text: read_unittest(text.encode(), "/w"),
    "minitest": lambda text: read_minitest(text.encode(), "/w"),
    "TAP": lambda text: read_tap(text.encode(), "/w"),
    "a module": is_module,
    "an issue": without_boilerplate,
}


@pytest.mark.timeout(120)
@pytest.mark.parametrize("reader", READERS)
def test_a_text_without_sense_comes_to_an_end(reader: str) -> None:
    for text in TEXTS:
        READERS[reader](text)
