"""What the verifier does with runs that are unsteady, die or lie; the sandboxes are scripted."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import pytest

from coder.errors import SandboxError
from coder.types import FileChange, Patch
from coder.verify.builds import ctest
from coder.verify.commands import TestCommand, given
from coder.verify.pytest_line import pytest_command
from coder.verify.verifier import CellVerifier, Verification
from tests.unit.verify_fakes import IMAGE, FakeSandboxes, FakeTrees, Run

OLD, NEW = "test_old", "test_new"
BEFORE = {"a.py": b"x = 1\n", "t.py": b"def test_old():\n    assert 1\n"}
AFTER = {"a.py": b"x = 2\n", "t.py": b"def test_old():\n    assert 1\n\n\ndef test_new():\n    assert 2\n"}
GREEN = Run({OLD: "pass"})
BOTH = Run({OLD: "pass", NEW: "pass"})
RED_NEW = Run({OLD: "pass", NEW: "failure"})


def verified(
    *runs: Run | Sequence[Run],
    paths: Sequence[str] = ("a.py", "tests/t.py"),
    tests: TestCommand | None = None,
    trees: Mapping[str, Mapping[str, bytes]] | None = None,
) -> tuple[Verification, FakeSandboxes]:
    trees_by_name = FakeTrees({"base": BEFORE, "head": AFTER, **(trees or {})})
    sandboxes = FakeSandboxes(runs)
    files = tuple(FileChange(path=path, status="modified") for path in paths)
    patch = Patch(base_sha="base", tree_sha="head", diff="", files=files)
    verifier = CellVerifier(
        trees_by_name, sandboxes, tests=tests or given("pytest"), timeout_s=900, labels={"coder.run": "r"}
    )
    return verifier.verify(patch, image=IMAGE, round=1), sandboxes


def test_six_runs_make_a_proof() -> None:
    made, sandboxes = verified(GREEN, BOTH, RED_NEW, GREEN, RED_NEW, BOTH)

    assert made.verdict.kind == "proven", made.verdict
    assert made.evidence.proving_tests == ("t.py::test_new",)
    assert sandboxes.left == []


def test_a_head_that_runs_where_base_ended_at_once_has_its_time() -> None:
    head = replace(BOTH, took_s=800)

    made, _ = verified(Run(exit_code=2, took_s=0.3), head, RED_NEW, GREEN, RED_NEW, BOTH)

    assert {cell.name: cell.exit_code for cell in made.evidence.cells}["head"] == 0


@pytest.mark.parametrize(("base_s", "cap"), [(0.5, "120 s"), (20, "200 s"), (800, "900 s")])
def test_base_with_new_tests_that_takes_many_times_as_long_as_the_others_hangs(base_s: float, cap: str) -> None:
    base, hangs = replace(GREEN, took_s=base_s), Run({OLD: "pass"}, took_s=5_000)

    made, _ = verified(base, BOTH, hangs, GREEN, BOTH)

    problems = {cell.name: cell.report.problem for cell in made.evidence.cells}
    assert problems["base+new tests"] == f"killed after {cap}"
    assert made.verdict.kind == "passing"


@pytest.mark.parametrize(
    ("reported", "kind"),
    [("failure", "proven"), ("error", "proven"), ("pass", "unverified"), ("skipped", "unverified")],
)
def test_a_runner_that_does_not_see_failures_proves_nothing(reported: str, kind: str) -> None:
    song = Run({OLD: "pass", NEW: "pass"}, canary=reported)

    made, _ = verified(GREEN, BOTH, RED_NEW, GREEN, RED_NEW, song)

    assert made.verdict.kind == kind
    assert bool(made.evidence.proving_tests) == (kind == "proven")


@pytest.mark.parametrize(("on_base", "kind"), [("failure", "unverified"), ("absent", "passing")])
def test_a_failure_that_is_not_reported_at_all_is_compared_with_base(on_base: str, kind: str) -> None:
    song, base = Run({OLD: "pass", NEW: "pass"}, canary="absent"), Run({OLD: "pass"}, canary=on_base)

    made, sandboxes = verified(GREEN, BOTH, RED_NEW, GREEN, RED_NEW, song, base)

    assert made.verdict.kind == kind
    assert sandboxes.left == []


def test_a_proving_test_that_fails_the_second_time_proves_nothing() -> None:
    made, _ = verified(GREEN, BOTH, RED_NEW, GREEN, RED_NEW, RED_NEW)
    late, _ = verified(GREEN, BOTH, RED_NEW, GREEN, RED_NEW, (BOTH, BOTH, RED_NEW))

    assert made.verdict.kind == late.verdict.kind == "passing"
    assert any("passed in 1 of 4 runs on head: it proves nothing" in reason for reason in made.verdict.reasons)
    assert any("passed in 3 of 4 runs on head: it proves nothing" in reason for reason in late.verdict.reasons)
    assert "flaky, not counted: t.py::test_new passed in 3 of 4 runs of head" in late.evidence.not_verified


def test_a_failure_that_does_not_come_back_is_flaky_and_named() -> None:
    flaky = Run({OLD: "failure", NEW: "pass"})

    made, sandboxes = verified(GREEN, flaky, RED_NEW, GREEN, BOTH, BOTH, GREEN, BOTH)

    assert made.verdict.kind == "passing"
    assert sandboxes.left == []  # what cannot be proven any more is not repeated
    assert any("t.py::test_old: passed in 3 of 4 runs" in reason for reason in made.verdict.reasons)
    assert [(test.name, test.cell, test.passed, test.runs) for test in made.evidence.flaky] == [
        ("t.py::test_old", "head", 3, 4)
    ]
    assert not any("Undo" in objection for objection in made.verdict.objections)


def test_a_test_that_was_red_on_base_by_chance_proves_nothing() -> None:
    made, sandboxes = verified(GREEN, BOTH, RED_NEW, GREEN, (RED_NEW, RED_NEW, BOTH), BOTH)

    assert made.verdict.kind == "passing"
    assert made.evidence.proving_tests == ()
    assert [(test.cell, test.passed, test.runs) for test in made.evidence.flaky] == [("base+new tests", 1, 4)]
    assert sandboxes.left == []


def test_a_flake_of_base_is_named_and_costs_the_change_nothing() -> None:
    flaky = Run({OLD: "failure", NEW: "pass"})

    made, sandboxes = verified(
        GREEN, flaky, RED_NEW, GREEN, flaky, flaky, (Run({OLD: "failure"}), GREEN), RED_NEW, BOTH
    )

    assert made.verdict.kind == "proven", made.verdict
    assert [(test.cell, test.passed, test.runs) for test in made.evidence.flaky] == [("base", 3, 4)]
    assert sandboxes.left == []


def test_what_was_steady_on_base_and_fails_now_and_then_on_head_is_neither_green_nor_a_regression() -> None:
    flaky = Run({OLD: "failure", NEW: "pass"})

    made, _ = verified(GREEN, flaky, RED_NEW, GREEN, BOTH, (flaky, BOTH), GREEN)

    assert made.verdict.kind == "unverified"
    assert "t.py::test_old (passed in 2 of 4 runs)" in made.verdict.reasons[0]


def test_what_passes_alone_and_fails_in_the_suite_each_time_is_a_regression() -> None:
    broken = Run({OLD: "failure", NEW: "pass"})

    made, _ = verified(GREEN, broken, RED_NEW, GREEN, broken, BOTH, GREEN, broken)
    lucky, _ = verified(GREEN, broken, RED_NEW, GREEN, broken, BOTH, GREEN, BOTH)

    assert made.verdict.kind == "regressed"
    assert any("passing when run alone" in reason for reason in made.verdict.reasons)
    assert lucky.verdict.kind == "unverified"


def test_an_old_test_that_fails_once_in_its_old_form_is_not_held_against_the_patch() -> None:
    flaky = Run({OLD: "failure"})

    made, _ = verified(GREEN, BOTH, RED_NEW, flaky, GREEN, GREEN, GREEN, RED_NEW, BOTH)
    broken, _ = verified(GREEN, BOTH, RED_NEW, flaky, flaky, flaky, GREEN)
    often, _ = verified(GREEN, BOTH, RED_NEW, flaky, flaky, GREEN, GREEN, flaky)

    assert made.verdict.kind == "proven"
    assert broken.verdict.kind == often.verdict.kind == "unverified"


def test_a_test_that_base_does_not_name_twice_is_not_missed_on_head() -> None:
    def at(time: str, *, new: str = "") -> Run:
        return Run({OLD: "pass", f"test_at[{time}]": "pass", **({NEW: new} if new else {})})

    cells = (at("7:01"), at("7:02", new="pass"), at("7:03", new="failure"), at("7:04"))
    made, sandboxes = verified(*cells, at("7:05"), RED_NEW, BOTH)
    kept, _ = verified(*cells, at("7:01"))
    dead, _ = verified(*cells, Run(exit_code=2))

    assert made.verdict.kind == "proven", made.verdict
    assert "flaky, not counted: t.py::test_at[7:01] passed in 1 of 2 runs of base" in made.evidence.not_verified
    assert sandboxes.left == []
    assert kept.verdict.kind == dead.verdict.kind == "unverified"
    assert "t.py::test_at[7:01]" in kept.verdict.reasons[0]


def test_a_red_test_that_base_does_not_name_twice_is_no_new_failure() -> None:
    def at(*times: str, new: str = "", old: str = "pass") -> Run:
        red = {f"test_at[{time}]": "failure" for time in times}
        return Run({OLD: old, **red, **({NEW: new} if new else {})})

    cells = (at("7:01"), at("7:02", new="pass"), at("7:03", new="failure"), at("7:04"))
    made, sandboxes = verified(*cells, at("7:05"), RED_NEW, BOTH)
    more, _ = verified(at("7:01"), at("7:02", "7:03"), at("7:04"), at("7:05"), at("7:06"), *[at("7:07", "7:08")] * 5)
    steady, _ = verified(at("7:01"), at("7:02"), at("7:01"), at("7:01"), at("7:01"), *[at("7:02")] * 5)
    worse, _ = verified(at("7:01"), at("7:02"), at("7:03"), at("7:04"), at("7:05", old="failure"), *[at("7:06")] * 5)

    assert made.verdict.kind == "proven", made.verdict
    assert "flaky, not counted: t.py::test_at[7:01] passed in 0 of 2 runs of base" in made.evidence.not_verified
    assert sandboxes.left == []
    assert more.verdict.kind == steady.verdict.kind == worse.verdict.kind == "regressed"


def test_of_two_failures_the_one_that_comes_back_is_a_regression_and_the_other_is_flaky() -> None:
    base = Run({OLD: "pass", NEW: "pass"})
    both, one = Run({OLD: "failure", NEW: "failure"}), Run({OLD: "pass", NEW: "failure"})

    made, _ = verified(base, both, base, base, one, one, base)

    assert made.verdict.kind == "regressed"
    assert made.verdict.reasons[0] == "1 test newly failing: t.py::test_new"


def test_a_failure_that_comes_back_is_a_regression() -> None:
    broken = Run({OLD: "failure", NEW: "pass"})

    made, sandboxes = verified(GREEN, broken, RED_NEW, GREEN, broken, broken, GREEN)

    assert made.verdict.kind == "regressed"
    assert sandboxes.left == []


def test_a_sandbox_that_dies_under_the_patch_is_a_regression() -> None:
    made, _ = verified(GREEN, Run(dies=True), Run(dies=True), RED_NEW, GREEN)

    assert made.verdict.kind == "regressed"
    assert "the sandbox died while the tests ran: the container is gone" in made.verdict.reasons[0]


def test_a_sandbox_that_always_dies_is_nobodys_regression() -> None:
    made, _ = verified(*[Run(dies=True)] * 8)

    assert made.verdict.kind == "unverified"


def test_a_sandbox_that_is_lost_before_the_tests_begin_is_replaced_once() -> None:
    made, sandboxes = verified(Run(lost=True), GREEN, Run(lost=True), BOTH, RED_NEW, GREEN, RED_NEW, BOTH)

    assert made.verdict.kind == "proven", made.verdict
    assert sandboxes.left == []
    with pytest.raises(SandboxError, match="the container ended"):
        verified(Run(lost=True), Run(lost=True))


FELL = Run({OLD: "failure"})


@pytest.mark.parametrize(
    ("with_bases_own", "kind"),
    [([FELL, FELL, FELL, GREEN], "unverified"), ([GREEN, GREEN], "passing"), ([Run(exit_code=1), GREEN], "passing")],
)
def test_where_cmake_says_what_the_tests_are_base_has_a_word_on_it(with_bases_own: Sequence[Run], kind: str) -> None:
    made, sandboxes = verified(GREEN, GREEN, *with_bases_own, paths=("a.hpp", "CMakeLists.txt"), tests=ctest())

    assert made.verdict.kind == kind, made.verdict
    assert sandboxes.left == []


CRASHED = Run({OLD: "pass", NEW: "pass"}, exit_code=139)


def test_a_run_that_contradicts_itself_on_base_is_made_again_and_costs_the_change_nothing() -> None:
    made, sandboxes = verified(Run({OLD: "pass"}, exit_code=139), GREEN, BOTH, RED_NEW, GREEN, RED_NEW, BOTH)

    assert made.verdict.kind == "proven", made.verdict
    assert sandboxes.left == []
    told = "base: run twice, the first was not counted: the report lists no failure, but the exit code is 139"
    assert told in made.evidence.not_verified


@pytest.mark.parametrize("first", [CRASHED, Run(exit_code=139), Run(exit_code=0), Run(dies=True)])
def test_a_run_with_the_patch_that_is_clear_the_second_time_only_proves_nothing(first: Run) -> None:
    made, sandboxes = verified(GREEN, first, BOTH, RED_NEW, GREEN, BOTH)

    assert made.verdict.kind == "passing", made.verdict
    assert any("head: the first of two runs of the same code was no clear answer" in r for r in made.verdict.reasons)
    assert made.verdict.objections == ()
    assert sandboxes.left == []


def test_a_run_that_is_never_clear_counts_as_it_was() -> None:
    made, _ = verified(GREEN, CRASHED, CRASHED, RED_NEW, GREEN)
    ended, sandboxes = verified(Run(exit_code=4), Run(exit_code=4), GREEN, GREEN)

    assert made.verdict.kind == "unverified"
    assert made.verdict.reasons == ("head: the report lists no failure, but the exit code is 139",)
    assert ended.verdict.kind == "unverified"
    assert sandboxes.left == [], "what tells by its exit code that it cannot begin is not run again"


def test_source_alone_takes_two_runs_and_one_of_a_failing_test() -> None:
    made, sandboxes = verified(GREEN, GREEN, GREEN, paths=("a.py",))

    assert made.verdict.kind == "passing"
    assert [cell.name for cell in made.evidence.cells] == ["base", "head"]
    assert sandboxes.left == []


def test_what_stays_open_is_listed() -> None:
    made, _ = verified(GREEN, GREEN, GREEN, paths=("a.py", "requirements.txt"))

    assert any("requirements.txt" in line for line in made.evidence.not_verified)


def test_tests_of_the_patch_run_also_where_the_command_names_another_folder() -> None:
    tests = pytest_command(["unit"], {"unit/test_a.py"})
    head = {**AFTER, "more/test_b.py": b""}

    made, sandboxes = verified(
        *(GREEN, BOTH, RED_NEW, GREEN, RED_NEW, BOTH),
        paths=("a.py", "more/test_b.py"),
        tests=tests,
        trees={"head": head, "base-tree+head": head},
    )

    runs = [
        command.rstrip("'").rpartition("--junitxml")[2].split()[1:]
        for command in sandboxes.commands
        if "--junitxml" in command
    ]
    assert made.verdict.kind == "proven"
    assert runs[:4] == [["unit"], ["unit", "more/test_b.py"], ["unit", "more/test_b.py"], ["unit"]]
    assert all("unit" not in chosen for chosen in runs[4:]), "what is repeated is no more than the proving tests"


def test_options_that_the_environment_does_not_know_are_left_out() -> None:
    tests = pytest_command(["--benchmark-skip", "-k", "a"], {})

    made, sandboxes = verified(
        *(Run(exit_code=4), GREEN, BOTH, RED_NEW, GREEN, RED_NEW, BOTH), paths=("a.py", "tests/t.py"), tests=tests
    )

    runs = [command for command in sandboxes.commands if "--junitxml" in command]
    assert made.verdict.kind == "proven"
    assert ["--benchmark-skip" in run for run in runs[:3]] == [True, False, False]
    assert all("-ka" in run for run in runs)


def test_tests_of_the_patch_that_no_run_tells_of_are_named() -> None:
    head = {**AFTER, "more/test_b.py": b"", "tests/data.txt": b""}
    paths = ("a.py", "tests/t.py", "more/test_b.py", "tests/data.txt", "tests/test_gone.py")

    made, _ = verified(GREEN, BOTH, RED_NEW, GREEN, RED_NEW, BOTH, paths=paths, trees={"head": head})

    assert "tests of the patch that the command did not run: more/test_b.py" in made.evidence.not_verified
