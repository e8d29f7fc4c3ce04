"""The model's tools on a real work tree, through the real runner."""

import json
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from coder.codemap.syntax import SyntaxChecker
from coder.sandbox.protocol import Sandbox
from coder.tools.base import MAX_OUTPUT_CHARS, Toolbox
from coder.tools.edit import EditTool
from coder.tools.files import List, Read, Search
from coder.tools.plan import Plan
from coder.tools.run import Processes, Run, RunTests
from coder.types import Cell, TestCounts, TestReport, ToolCall, ToolOutput
from tests.contract.sandbox_support import committed, local_backend

FILES = {
    "app/money.py": b"def half(n):\n    return n / 2\n\n\ndef twice(n):\n    return n + n\n",
    "app/deep/er/leaf.txt": b"needle in a leaf\n",
    "win.txt": b"one\r\ntwo\r\n",
    "latin.txt": "caf\u00e9 au lait\n".encode("latin-1"),
    "data.bin": b"\0\1\2",
    "long.txt": b"".join(b"line %d\n" % n for n in range(1, 1001)),
}


@pytest.fixture
def sandbox(tmp_path: Path) -> Iterator[Sandbox]:
    pack = committed(tmp_path, FILES)
    with local_backend() as (provider, image), provider.open(image, pack, labels={}) as opened:
        yield opened


@pytest.fixture
def toolbox(sandbox: Sandbox) -> Iterator[Toolbox]:
    reports = iter(
        [
            TestReport(by_id=True, passed=("a", "d"), failed=("b", "c"), errored=("old",)),
            TestReport(by_id=True, passed=("a", "b"), failed=("d",)),
            TestReport(by_id=True),
        ]
    )

    def suite(_sandbox: Sandbox, select: list[str], _timeout_s: float) -> Cell:
        return Cell(
            name="head",
            tree_sha="",
            command="pytest " + " ".join(select),
            exit_code=1,
            duration_s=0.1,
            report=next(reports),
            output_tail="tail",
        )

    with closing(SyntaxChecker()) as syntax:
        yield Toolbox(
            [
                EditTool(sandbox, syntax),
                List(sandbox),
                Plan(),
                Read(sandbox),
                Processes(sandbox),
                Run(sandbox),
                RunTests(sandbox, suite, red_on_base=("old",)),
                Search(sandbox),
            ]
        )


def call(toolbox: Toolbox, name: str, /, **arguments: object) -> ToolOutput:
    return toolbox.call(ToolCall(id="1", name=name, arguments=json.dumps(arguments))).output


def test_reading_numbers_the_lines_and_says_how_to_go_on(toolbox: Toolbox) -> None:
    output = call(toolbox, "read", path="long.txt", start=10, lines=2)

    assert output.content == "    10  line 10\n    11  line 11\n(989 more lines; go on with start=12)"


@pytest.mark.parametrize(
    ("path", "why"),
    [
        ("nope.py", "no such file"),
        ("app", "folder"),
        ("data.bin", "binary"),
        ("../../etc/passwd", ""),
        ("/etc/passwd", ""),
    ],
)
def test_what_cannot_be_read_is_an_error_with_its_reason(toolbox: Toolbox, path: str, why: str) -> None:
    output = call(toolbox, "read", path=path)

    assert output.is_error
    assert why in output.content
    assert "root:" not in output.content


def test_listing_counts_what_lies_deeper(toolbox: Toolbox) -> None:
    assert "app/deep/ (1 files)" in call(toolbox, "list").content.splitlines()
    assert call(toolbox, "list", path="app", depth=9).content.splitlines() == ["deep/er/leaf.txt", "money.py"]
    assert call(toolbox, "list", pattern="*.py").content == "app/money.py"
    assert call(toolbox, "list", path="nowhere").is_error


def test_searching_finds_lines_and_takes_patterns_literally_as_arguments(toolbox: Toolbox) -> None:
    assert call(toolbox, "search", pattern=r"return n \+").content.strip() == "app/money.py:6:    return n + n"
    assert call(toolbox, "search", pattern="n / 2", path="app/money.py").content.startswith("app/money.py:2:")
    assert "No line matches" in call(toolbox, "search", pattern="'; touch hacked; '").content
    assert call(toolbox, "search", pattern="(").is_error
    assert "hacked" not in call(toolbox, "list").content


def test_several_edits_of_a_file_happen_together_or_not_at_all(toolbox: Toolbox, sandbox: Sandbox) -> None:
    good = {"old": "n / 2", "new": "n // 2"}
    refused = call(toolbox, "edit", path="app/money.py", edits=[good, {"old": "no such text", "new": "x"}])

    assert refused.is_error
    assert sandbox.read("app/money.py") == FILES["app/money.py"]

    done = call(toolbox, "edit", path="app/money.py", edits=[good, {"after_line": 0, "new": '"""Money."""'}])

    assert "+    return n // 2" in done.content
    assert sandbox.read("app/money.py").startswith(b'"""Money."""\ndef half(n):\n    return n // 2\n')


def test_a_text_that_occurs_twice_is_refused_with_its_lines(toolbox: Toolbox) -> None:
    output = call(toolbox, "edit", path="app/money.py", edits=[{"old": "return n", "new": "return m"}])

    assert output.is_error
    assert "2 times (lines 2, 6)" in output.content


def test_a_near_miss_is_shown(toolbox: Toolbox) -> None:
    output = call(toolbox, "edit", path="app/money.py", edits=[{"old": "return  n + n", "new": "return 2 * n"}])

    assert "Did you mean" in output.content
    assert "6      return n + n" in output.content


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("def half(n):\n  return n / 2", "x", None),
        ("return n / 2", "return n // 2", b"def half(n):\n    return n // 2\n"),
        ("  return n / 2\n", "  n = int(n)\n\n  return n / 2\n", b"def half(n):\n    n = int(n)\n\n    return n / 2\n"),
        ("        return n / 2", "        return n\n", b"def half(n):\n    return n\n"),
        ("        return n / 2", "  return n\n", None),
        ("\treturn n / 2", "\treturn n\n", None),
    ],
)
def test_only_a_common_indentation_is_forgiven(
    toolbox: Toolbox, sandbox: Sandbox, old: str, new: str, expected: bytes | None
) -> None:
    output = call(toolbox, "edit", path="app/money.py", edits=[{"old": old, "new": new}])

    assert output.is_error == (expected is None)
    assert sandbox.read("app/money.py").startswith(expected or FILES["app/money.py"])


def test_an_edit_that_was_made_already_is_said_to_be(toolbox: Toolbox) -> None:
    edit = {"old": "n / 2", "new": "n // 2  # whole"}
    call(toolbox, "edit", path="app/money.py", edits=[edit])

    output = call(toolbox, "edit", path="app/money.py", edits=[edit])

    assert "but its new text is (line 2)" in output.content


@pytest.mark.parametrize(
    ("path", "content", "says"),
    [
        ("app/bad.py", "def f(:\n", "     1  def f(:   <- "),
        ("bad.json", "{", "     1  {   <- Expecting property name"),
        ("bad.toml", "= 1", "     1  = 1   <- Invalid statement"),
        ("bad.go", "package a\n\nfunc f( {\n}\n", "     3  func f( {   <- missing ')'"),
    ],
)
def test_a_file_that_does_not_parse_is_written_and_its_lines_are_shown(
    toolbox: Toolbox, path: str, content: str, says: str
) -> None:
    output = call(toolbox, "edit", path=path, content=content)

    assert not output.is_error
    assert "does not parse" in output.content
    assert says in output.content


def test_only_errors_that_an_edit_brings_are_told(toolbox: Toolbox) -> None:
    broken = call(toolbox, "edit", path="a.py", content="x = (1\n")
    still = call(toolbox, "edit", path="a.py", edits=[{"old": "(1", "new": "(2"}])
    mended = call(toolbox, "edit", path="a.py", content="x = (2)\n")

    assert "'(' was never closed" in broken.content
    assert "was never closed" in still.content  # the line of the error is what was edited
    assert "parse" not in mended.content


def test_line_ends_and_foreign_bytes_stay_as_they_are(toolbox: Toolbox, sandbox: Sandbox) -> None:
    call(toolbox, "edit", path="win.txt", edits=[{"old": "one\ntwo", "new": "1\n2"}])
    call(toolbox, "edit", path="latin.txt", edits=[{"old": "au lait", "new": "noir"}])

    assert sandbox.read("win.txt") == b"1\r\n2\r\n"
    assert sandbox.read("latin.txt") == "caf\u00e9 noir\n".encode("latin-1")


def test_a_rewritten_file_keeps_its_mark_and_line_ends(toolbox: Toolbox, sandbox: Sandbox) -> None:
    sandbox.write("marked.cs", b"\xef\xbb\xbfclass A {}\r\n")

    call(toolbox, "edit", path="marked.cs", edits=[{"after_line": 0, "new": "// first"}])
    inserted = sandbox.read("marked.cs")
    call(toolbox, "edit", path="marked.cs", content="class B {}\n")

    assert inserted == b"\xef\xbb\xbf// first\r\nclass A {}\r\n"
    assert sandbox.read("marked.cs") == b"\xef\xbb\xbfclass B {}\r\n"


def test_a_new_file_is_created_with_its_folders(toolbox: Toolbox, sandbox: Sandbox) -> None:
    assert "Created" in call(toolbox, "edit", path="new/folder/file.txt", content="hi\n").content
    assert "Overwrote" in call(toolbox, "edit", path="new/folder/file.txt", content="ho\n").content
    assert sandbox.read("new/folder/file.txt") == b"ho\n"


@pytest.mark.parametrize("path", ["../outside.txt", "/tmp/outside.txt", ".git/config"])
def test_nothing_is_written_outside_the_work_tree(toolbox: Toolbox, path: str) -> None:
    assert call(toolbox, "edit", path=path, content="x").is_error


def test_a_command_tells_its_exit_code_and_its_time_out(toolbox: Toolbox) -> None:
    assert call(toolbox, "run", command="echo hi; exit 3").content == "hi\n[exit code 3]"
    assert "killed after 1 s" in call(toolbox, "run", command="sleep 60", timeout_s=1).content
    assert call(toolbox, "run", command="pwd", cwd="app").content.splitlines()[0].endswith("/app")
    assert call(toolbox, "run", command=r"printf '\033[1;32mok\033[0m\033[K'").content == "ok\n[exit code 0]"


def test_long_output_keeps_head_and_tail_and_the_whole_is_kept(toolbox: Toolbox) -> None:
    carried = toolbox.call(ToolCall(id="1", name="run", arguments='{"command": "seq 1 9000"}'))

    assert len(carried.output.content) < MAX_OUTPUT_CHARS + 200
    assert carried.output.content.startswith("1\n2\n")
    assert "9000" in carried.output.content
    assert carried.full is not None
    assert "characters left out" in carried.output.content


def test_test_results_name_what_changed_since_the_last_run(toolbox: Toolbox) -> None:
    first = call(toolbox, "run_tests", select=["app/money.py::half"])
    second = call(toolbox, "run_tests")

    assert "2 passed, 2 failed, 1 errors" in first.content
    assert "failing:\n  b\n  c\nfailing, as they did before any change:\n  old\ntail" in first.content
    assert first.tests == TestCounts(passed=2, failed=2, errored=1, selection=("app/money.py::half",))
    assert "newly failing since their last run:\n  d" in second.content
    assert "passing now, failed before:\n  b\ntail" in second.content  # c was not run
    third = call(toolbox, "run_tests", select=["nothing"]).content
    assert "before:" not in third
    assert third.startswith("No test was found for nothing.\n")


def test_a_selection_of_a_file_that_is_not_there_runs_nothing(toolbox: Toolbox) -> None:
    output = call(
        toolbox, "run_tests", select=["app/test_x.py::test_y[1]", "src/money.py:12", "app/money.py", "TestCase"]
    )

    assert output.is_error
    assert output.content.split("\n") == [
        "No test was run.",
        "There is no file 'app/test_x.py::test_y[1]'.",
        "There is no file 'src/money.py:12'. Did you mean app/money.py?",
    ]


def test_a_selection_that_the_command_cannot_heed_is_told(sandbox: Sandbox) -> None:
    def suite(_sandbox: Sandbox, _select: list[str], _timeout_s: float) -> Cell:
        report = TestReport(by_id=False, problem="by its exit code alone")
        return Cell(
            name="head", tree_sha="", command="make test", exit_code=0, duration_s=0.1, report=report, output_tail=""
        )

    toolbox = Toolbox([RunTests(sandbox, suite, selects=lambda _select: False)])

    assert call(toolbox, "run_tests", select=["app/money.py"]).content.startswith("`select` had no effect")
    assert "`select`" not in call(toolbox, "run_tests").content


def test_a_background_process_goes_on_between_calls(toolbox: Toolbox) -> None:
    started = call(toolbox, "run", command="echo up; sleep 60", background="server")
    twice = call(toolbox, "run", command="echo up", background="server")
    waited = call(toolbox, "run", command="echo hi")
    listed = call(toolbox, "processes").content
    shown = call(toolbox, "processes", name="server", end=True).content

    assert "'server' is running" in started.content
    assert twice.is_error
    assert waited.content == "hi\n[exit code 0]"
    assert listed.startswith("server: running, ")
    assert shown.startswith("up\n[ended now")
    assert "server: killed" in call(toolbox, "processes").content
    assert call(toolbox, "processes", name="other").is_error
    assert call(toolbox, "processes", end=True).is_error


@pytest.mark.parametrize(
    ("name", "arguments", "says"),
    [
        ("raed", "{}", "There is no tool 'raed'. Did you mean `read`? The tools are: edit, list"),
        ("read_file", "{}", "There is no tool 'read_file'. Did you mean `read`?"),
        ("Bash", "{}", "There is no tool 'Bash'. Did you mean `run`? The tools are: edit"),
        ("str_replace", "{}", "Did you mean `edit`?"),
        ("browse", "{}", "There is no tool 'browse'. The tools are: edit"),
        ("read", "{}", "The arguments are: path (required)"),
        ("read", "{", "not valid JSON"),
        ("read", "{}", "path: Field required"),
        ("read", '{"path": "x", "lines": "many"}', "lines"),
        ("read", '{"file": "x"}', "Extra inputs"),
        ("read", '["x"]', "the arguments"),
        ("read", '"x', "not valid JSON"),
        ("read", '{"path": "\\ud800"}', "not valid JSON"),
        ("edit", '{"path": "win.txt", "edits": [{"old": "     1  one", "new": "x"}]}', "line numbers of `read`"),
        ("read", '{"path": "app/mony.py"}', "Did you mean app/money.py?"),
        ("edit", '{"path": "money.py", "edits": [{"old": "a", "new": "x"}]}', "Did you mean app/money.py?"),
        ("edit", '{"path": "x"}', "either `edits` or `content`"),
    ],
)
def test_a_bad_call_says_what_to_change(toolbox: Toolbox, name: str, arguments: str, says: str) -> None:
    output = toolbox.call(ToolCall(id="1", name=name, arguments=arguments)).output

    assert output.is_error
    assert says in output.content


def test_a_list_in_a_string_is_understood(toolbox: Toolbox) -> None:
    arguments = json.dumps({"path": "win.txt", "edits": json.dumps([{"old": "one", "new": "1"}])})

    assert "+1" in toolbox.call(ToolCall(id="1", name="edit", arguments=arguments)).output.content


def test_absolute_paths_below_the_root_are_understood(toolbox: Toolbox) -> None:
    root = call(toolbox, "run", command="pwd").content.splitlines()[0]

    assert "def half" in call(toolbox, "read", path=f"{root}/app/money.py").content


@pytest.mark.parametrize("arguments", ['{"path": "win.txt"}', '"{\\"path\\": \\"win.txt\\"}"', '{"path":\n"win.txt"}'])
def test_arguments_that_models_write_oddly_are_understood(toolbox: Toolbox, arguments: str) -> None:
    assert "one" in toolbox.call(ToolCall(id="1", name="read", arguments=arguments)).output.content
