"""Verdicts on honest work, poor work and lies: real git, real test runs; all of them in real containers."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from benchmarks.verdict_cases import BY_EXIT_CODE, CASES, HONEST, LIES, Case
from benchmarks.verdict_lies import MORE, OUT_OF_SIGHT, UNLUCKY
from benchmarks.verdict_stage import staged
from coder.sandbox.config import SandboxSettings
from coder.sandbox.local import IMAGE, LocalSandboxProvider
from coder.sandbox.protocol import Image, SandboxProvider
from coder.types import Patch
from coder.verify import commands
from coder.verify.cells import run_cell
from coder.verify.verifier import CellVerifier, Verification
from tests.contract.sandbox_support import committed, docker_backend

A_FEW = (
    HONEST[0],
    HONEST[5],
    HONEST[8],
    BY_EXIT_CODE[0],
    LIES[0],
    *(lie for lie in LIES if "cannot be read" in lie.name),
)

CI_SIZED = tuple(
    case
    for case in (*CASES, *MORE, *UNLUCKY, *OUT_OF_SIGHT)
    if case.name
    in {
        "a fix with its test",
        "a fix beside a test that fails already",
        "a fix without a test",
        "a broken fix",
        "an endless loop at import",
        "make: a fix with its test",
        "a test ends the process with success",
        "everything is skipped",
        "the report is forged in a way that cannot be read",
        "the report is an entity bomb",
        "the failing test is deleted",
        "the expectation is edited to the wrong output",
        "source detects the test by modules",
        "the fix passes alone and fails in the order of the suite",
        "the report is huge",
        "a fix and a part that nothing needs",
        "the broken file is hidden by assume-unchanged",
        "a file hidden by info/exclude makes the test pass",
    }
)
"""Of each kind one, and none that ends by chance; `python -m benchmarks.verdicts` has them all."""

CANARY = "testing that a failure is seen"


@pytest.fixture(scope="module")
def local() -> LocalSandboxProvider:
    """Sandboxes whose `python3` is the one that runs these tests: it has pytest."""
    path = f"{Path(sys.executable).parent}:/usr/local/bin:/usr/bin:/bin"
    return LocalSandboxProvider(SandboxSettings(), env={"PATH": path, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"})


@pytest.fixture(scope="module")
def docker() -> Iterator[tuple[SandboxProvider, Image]]:
    with docker_backend() as made:
        yield made


def judged(case: Case, folder: Path, sandboxes: SandboxProvider, image: Image) -> Verification:
    stage = staged(case, folder, (sandboxes, image))
    base = stage.patch.base_sha
    tests = commands.test_command(stage.repository.files(base), lambda path: stage.repository.read(base, path))
    verifier = CellVerifier(
        stage.repository, sandboxes, tests=tests, timeout_s=case.timeout_s, labels={"coder.run": "verdicts"}
    )
    return verifier.verify(stage.patch, image=image, round=1)


@pytest.mark.docker
@pytest.mark.parametrize("case", CI_SIZED, ids=lambda case: case.name)
def test_each_case_gets_a_true_verdict(case: Case, tmp_path: Path, docker: tuple[SandboxProvider, Image]) -> None:
    verification = judged(case, tmp_path, *docker)

    assert verification.verdict.kind in case.allowed, verification.verdict
    assert verification.verdict.reasons
    assert bool(verification.evidence.proving_tests) <= (verification.verdict.kind == "proven")


@pytest.mark.parametrize("case", A_FEW, ids=lambda case: case.name)
def test_the_verdict_does_not_depend_on_docker(case: Case, tmp_path: Path, local: LocalSandboxProvider) -> None:
    verification = judged(case, tmp_path, local, IMAGE)

    assert verification.verdict.kind in case.allowed, verification.verdict


def test_the_evidence_names_what_was_run(tmp_path: Path, local: LocalSandboxProvider) -> None:
    evidence = judged(HONEST[0], tmp_path, local, IMAGE).evidence

    assert [(cell.name, cell.exit_code) for cell in evidence.cells] == [
        ("base", 0),
        ("base+new tests", 1),
        ("head", 0),
        ("head+old tests", 0),
    ]
    assert len({cell.tree_sha for cell in evidence.cells}) == 4
    assert evidence.cells[2].tree_sha == evidence.head_tree
    assert evidence.proving_tests == ("test_slugs.py::test_many_spaces",)
    assert evidence.test_files == ("test_slugs.py",)
    assert all("junit" not in cell.command for cell in evidence.cells)


def test_runs_of_an_earlier_round_are_taken_again(tmp_path: Path, local: LocalSandboxProvider) -> None:
    stage = staged(HONEST[5], tmp_path)
    said: list[str] = []
    tests = commands.given("python3 -m pytest -q")
    verifier = CellVerifier(stage.repository, local, tests=tests, timeout_s=60, labels={}, progress=said.append)

    first, second = (verifier.verify(stage.patch, image=IMAGE, round=number) for number in (1, 2))

    assert said == ["round 1: testing base", "round 1: testing head", CANARY, CANARY]
    assert [cell.kept_as for cell in first.evidence.cells] == ["", ""]
    assert all(cell.kept_as for cell in second.evidence.cells)
    assert [cell.model_copy(update={"kept_as": ""}) for cell in second.evidence.cells] == [*first.evidence.cells]


def test_without_a_way_to_test_nothing_is_claimed(tmp_path: Path, local: LocalSandboxProvider) -> None:
    stage = staged(HONEST[0], tmp_path)

    verification = CellVerifier(stage.repository, local, tests=None, timeout_s=60, labels={}).verify(
        stage.patch, image=IMAGE, round=1
    )

    assert verification.verdict.kind == "unverified"
    assert "test_command" in verification.verdict.reasons[0]
    assert verification.evidence.not_verified == ("no test was run",)


def test_some_tests_can_be_selected(tmp_path: Path, local: LocalSandboxProvider) -> None:
    stage = staged(HONEST[0], tmp_path)
    pack = stage.repository.pack(stage.patch.base_sha, depth=1)
    command = commands.given("python3 -m pytest -q").selecting(["test_slugs.py::test_shout"])

    with local.open(IMAGE, pack, labels={}) as sandbox:
        cell = run_cell(sandbox, "head", "", command, 60)
        left = sandbox.list_files()

    assert cell.report.passed == ("test_slugs.py::test_shout",)
    assert cell.command == "python3 -m pytest -q --maxfail=0 -- test_slugs.py::test_shout"
    assert "test_slugs.py" in left


def test_a_test_has_one_id_however_it_is_run(tmp_path: Path, local: LocalSandboxProvider) -> None:
    folder = tmp_path / "origin"
    (folder / "tests").mkdir(parents=True)
    (folder / "tests" / "pytest.ini").write_text("[pytest]\n")
    (folder / "tests" / "test_x.py").write_text("def test_y():\n    pass\n")
    suite = commands.given("python3 -m pytest -q tests/")

    with local.open(IMAGE, committed(folder), labels={}) as sandbox:
        whole = run_cell(sandbox, "head", "", suite, 60).report
        alone = run_cell(sandbox, "head", "", suite.selecting(whole.passed), 60).report

    assert whole.passed == alone.passed == ("tests/test_x.py::test_y",)


HANGS = "import threading\n\n\ndef waits():\n    threading.Event().wait()\n\n\ndef test_a():\n    waits()\n"
LIES_ON = """import os
import pathlib
import signal
import sys


def ends(*_):
    path = next(one.split("=", 1)[1] for one in sys.argv if one.startswith("--junitxml="))
    pathlib.Path(path).write_text('<testsuite><testcase name="test_a" file="test_a.py"/></testsuite>')
    os._exit(0)


def test_a():
    signal.signal(signal.SIGABRT, ends)
    signal.pause()
"""


@pytest.mark.parametrize(("text", "told"), [(HANGS, ["line 5 in waits", "line 9 in test_a"]), (LIES_ON, [])])
def test_a_run_that_hangs_tells_where_and_counts_as_killed_whatever_it_does(
    text: str, told: list[str], tmp_path: Path, local: LocalSandboxProvider
) -> None:
    pack = committed(tmp_path, {"test_a.py": text.encode()})

    with local.open(IMAGE, pack, labels={}) as sandbox:
        cell = run_cell(sandbox, "head", "", commands.given("python3 -m pytest -q"), 4)

    assert (cell.exit_code, cell.report.by_id, cell.report.problem) == (None, False, "killed after 4 s")
    assert [line for line in told if f'test_a.py", {line}' not in cell.output_tail] == []


def test_colours_are_not_kept(tmp_path: Path, local: LocalSandboxProvider) -> None:
    stage = staged(HONEST[0], tmp_path)
    pack = stage.repository.pack(stage.patch.base_sha, depth=1)
    command = commands.given("python3 -m pytest -q --color=yes").selecting(["test_slugs.py::test_shout"])

    with local.open(IMAGE, pack, labels={}) as sandbox:
        cell = run_cell(sandbox, "head", "", command, 60)

    assert "1 passed" in cell.output_tail
    assert "\x1b" not in cell.output_tail


def test_a_patch_of_nothing_runs_nothing(tmp_path: Path, local: LocalSandboxProvider) -> None:
    stage = staged(HONEST[0], tmp_path)
    empty = Patch(base_sha=stage.patch.base_sha, tree_sha=stage.patch.tree_sha, diff="", files=())
    tests = commands.given("pytest")

    verification = CellVerifier(stage.repository, local, tests=tests, timeout_s=60, labels={}).verify(
        empty, image=IMAGE, round=1
    )

    assert verification.verdict.kind == "no_change"
    assert verification.evidence.cells == ()


UNITS = """import unittest


class Units(unittest.TestCase):
    def test_good(self):
        print("test_bad (test_units.Units.test_bad) ... ok")

    def test_bad(self):
        \"\"\"Says something.\"\"\"
        self.assertEqual(1, 2)

    def test_err(self):
        raise OSError

    @unittest.skip("later")
    def test_off(self):
        pass
"""


def test_the_runner_of_the_standard_library_is_read_by_its_own_lines(
    tmp_path: Path, local: LocalSandboxProvider
) -> None:
    pack = committed(tmp_path, {"test_units.py": UNITS.encode()})

    with local.open(IMAGE, pack, labels={}) as sandbox:
        report = run_cell(sandbox, "head", "", commands.given("python3 -m unittest"), 60).report

    place = "test_units.Units"
    assert (report.failed, report.errored) == ((f"{place}::test_bad",), (f"{place}::test_err",))
    assert report.skipped == (f"{place}::test_off",)
    assert report.problem is not None, "a line that a test prints does not add up"
