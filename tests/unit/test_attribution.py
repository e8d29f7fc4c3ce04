"""Whose fault a red check is."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from coder.attribution import attributed, failing_command, suspects, trimmed
from coder.types import Cell, TestReport


def cell(*failed: str, by_id: bool = True, exit_code: int | None = None) -> Cell:
    code = exit_code if exit_code is not None else int(bool(failed))
    report = TestReport(by_id=by_id, failed=failed, passed=("other",) if by_id else ())
    return Cell(
        name="head", tree_sha="", command="make check", exit_code=code, duration_s=1.0, report=report, output_tail=""
    )


@pytest.mark.parametrize(
    ("base", "head", "kind", "words"),
    [
        ([cell()] * 3, [cell("a")] * 3, "caused", "never on base"),
        ([cell("a")] * 3, [cell("a")] * 3, "pre_existing", "each time"),
        ([cell()] * 3, [cell("a"), cell(), cell()], "flaky", "1 of 3 times on head and 0 of 3"),
        ([cell("a"), cell(), cell()], [cell("a")] * 3, "flaky", "3 of 3 times on head and 1 of 3"),
        ([cell()] * 3, [cell()] * 3, "not_reproduced", ""),
        ([cell("a")] * 3, [cell("a", "b")] * 3, "caused", "b: failed each of 3 times"),
        ([cell(by_id=False)] * 3, [cell(by_id=False, exit_code=2)] * 3, "caused", "`make check`"),
        ([], [cell("a")], "caused", "1 times on head"),
        ([cell("a")], [], "not_reproduced", ""),
    ],
)
def test_an_experiment_says_whose_fault_it_is(base: list[Cell], head: list[Cell], kind: str, words: str) -> None:
    found = attributed(base, head)

    assert found.kind == kind
    assert words in "\n".join(found.lines)


@given(st.lists(st.booleans(), min_size=1, max_size=4), st.lists(st.booleans(), min_size=1, max_size=4))
def test_only_what_always_fails_here_and_never_there_is_our_fault(base: list[bool], head: list[bool]) -> None:
    found = attributed([cell(*["a"] * red) for red in base], [cell(*["a"] * red) for red in head])

    assert (found.kind == "caused") == (all(head) and not any(base))
    assert (found.kind == "pre_existing") == (all(head) and all(base))
    assert (found.kind == "not_reproduced") == (not any(head))


@pytest.mark.parametrize(
    ("log", "named"),
    [
        ("FAILED tests/test_a.py::test_b[1-2] - assert 1 == 2", ("tests/test_a.py::test_b[1-2]",)),
        ("ERROR tests/test_a.py - ImportError", ("tests/test_a.py",)),
        ("    --- FAIL: TestAdd/negative (0.00s)", ("TestAdd/negative",)),
        ("FAIL src/add.test.ts", ("src/add.test.ts",)),
        ("rspec ./spec/add_spec.rb:4 # adds", ("./spec/add_spec.rb",)),
        ("test sums::adds ... FAILED", ("sums::adds",)),
        ("all is well; FAILED to say more", ()),
        ("FAILED tests/a.py::x\nFAILED tests/a.py::x", ("tests/a.py::x",)),
    ],
)
def test_logs_name_what_failed(log: str, named: tuple[str, ...]) -> None:
    assert suspects(log) == named


def test_the_command_that_failed_is_the_last_before_the_error() -> None:
    log = (
        "##[group]Run actions/checkout@v4\n##[endgroup]\n##[group]Run pip install .\n##[endgroup]\n"
        "##[group]Run make check\nx\n##[error]Process completed with exit code 2.\n##[group]Run echo after\n"
    )

    assert failing_command(log) == "make check"
    assert failing_command("nothing") == ""


def test_of_a_long_log_what_tells_something_is_kept() -> None:
    log = "\n".join(["quiet"] * 5_000 + ["E   assert 1 == 2"] + ["quiet"] * 5_000)

    kept = trimmed(log)

    assert "assert 1 == 2" in kept
    assert len(kept.splitlines()) < 60


@given(st.text(max_size=400))
def test_no_log_breaks_the_reading(log: str) -> None:
    assert len(suspects(log)) <= 50
    assert len(trimmed(log)) <= 12_000
    failing_command(log)
