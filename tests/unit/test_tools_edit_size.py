"""Edits of long files that repeat themselves: nothing costs the square of their length, and what is shown is right."""

import json

import pytest

from coder.tools.base import MAX_OUTPUT_CHARS, Toolbox
from coder.tools.edit import Edit, EditArguments, EditError, EditTool, edited
from coder.tools.v4a import PatchError, parsed, patched
from coder.types import ToolCall

FILES = {
    "rows that repeat": "".join(f"row {number % 150}\n" for number in range(150_000)),
    "blank lines": "\n" * 500_000,
    "one short line": "a\n" * 500_000,
    "one long line": "var a=" + "function(){return 1};" * 100_000,
    "lines that look alike": "".join(f"def some_function_{n:06}(argument):  # number {n * 7}\n" for n in range(40_000)),
}


class OneFile:
    """A work tree of one file, which takes any write."""

    def __init__(self, data: bytes) -> None:
        self.data = data

    def read(self, path: str, *, max_bytes: int = 4_000_000) -> bytes:
        return self.data

    def write(self, path: str, data: bytes) -> None:
        self.data = data


class NoSyntax:
    def new_faults(self, path: str, before: bytes, after: bytes) -> list[object]:
        return []


def tool(sandbox: OneFile) -> EditTool:
    return EditTool(sandbox, NoSyntax())  # type: ignore[arg-type] # what an edit needs of a sandbox, and no faults


def misquoted(text: str) -> dict[str, str]:
    return {
        "indented, with one line more": "  " + "\n  ".join(text[:40_000].split("\n")) + "\n  zzz",
        "shifted": " " + text[1_000:60_000] + "!",
        "nothing of it": "nothing like it at all\n" * 3_000,
        "almost": "def some_functoin_0000x(argument):  # numbre\nzzz",
    }


@pytest.mark.parametrize("kind", FILES)
@pytest.mark.parametrize("how", misquoted(""))
def test_a_misquoted_text_is_told_soon(kind: str, how: str) -> None:
    with pytest.raises(EditError, match=r"not in the file|occurs"):
        edited(FILES[kind].encode(), [Edit(old=misquoted(FILES[kind])[how], new="b")])


@pytest.mark.parametrize("kind", FILES)
@pytest.mark.parametrize(
    "body", ["-zzz\n+y\n", " \n" * 20_000 + "-zz\n", " a\n" * 20_000 + "-zz\n", "-q\n+b\n@@\n" * 3_000 + "-q\n"]
)
def test_a_patch_that_does_not_fit_is_told_soon(kind: str, body: str) -> None:
    patch = parsed(f"*** Begin Patch\n*** Update File: p\n@@\n{body}*** End Patch")[0]

    with pytest.raises(PatchError):
        patched(FILES[kind], patch)


@pytest.mark.parametrize("kind", FILES)
def test_a_small_change_of_a_long_file_is_shown_where_it_is(kind: str) -> None:
    sandbox = OneFile(FILES[kind].encode())
    middle = FILES[kind].count("\n") // 2

    output = tool(sandbox).run(EditArguments(path="p", edits=[Edit(after_line=middle, new="new")]))

    shown = output.content.split("\n")
    start = max(middle - 1, 1)
    assert shown[0] == "--- a/p"
    assert shown[2].startswith((f"@@ -{start},", "@@ -0,0", "@@ -1 +1"))
    assert "+new" in shown
    assert len(shown) <= 9


def test_a_change_from_end_to_end_is_told_in_figures() -> None:
    sandbox = OneFile(FILES["rows that repeat"].encode())
    edits = [Edit(after_line=0, new="first"), Edit(after_line=150_001, new="last")]

    output = tool(sandbox).run(EditArguments(path="p", edits=edits))

    assert output.content == "Changed p: lines 1 to 150000 are now 150002 lines."


@pytest.mark.parametrize(
    ("name", "arguments"),
    [("x" * 1_000_000, "{}"), ("edit", json.dumps({"k" * 1_000_000: 1})), ("edit", '{"path": ' + "9" * 5_000 + "}")],
)
def test_what_the_model_made_up_is_quoted_in_part(name: str, arguments: str) -> None:
    carried = Toolbox([tool(OneFile(b""))]).call(ToolCall(id="1", name=name, arguments=arguments))

    assert carried.output.is_error
    assert len(carried.output.content) < MAX_OUTPUT_CHARS
