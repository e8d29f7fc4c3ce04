"""What the verifier does with runs that are unsteady, die or lie; the sandboxes are scripted."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Self

import pytest
from typing_extensions import override

from coder.errors import SandboxError
from coder.sandbox.protocol import NOTHING, Background, Image, Sandbox, SandboxProvider, Snapshot, TreePack, Wants
from coder.types import ExecResult, FileChange, Patch
from coder.verify.commands import given
from coder.verify.runs import TreeEntry, Trees
from coder.verify.verifier import CellVerifier, Verification

IMAGE = Image(reference="i", digest="sha256:1")
OLD, NEW = "test_old", "test_new"


@dataclass(frozen=True)
class Run:
    """What a run of the tests gives: outcomes of tests, or an exit code without a report."""

    outcomes: Mapping[str, str] = field(default_factory=dict)
    exit_code: int | None = None
    dies: bool = False
    canary: str = "failure"

    def xml(self, canary: str | None) -> bytes:
        outcomes = dict(self.outcomes) | ({canary: self.canary} if canary else {})
        cases = ""
        for name, end in outcomes.items():
            module = name if name == canary else "t"
            inner = "" if end == "pass" else f"<{end}/>"
            if end != "absent":
                cases += f'<testcase file="{module}.py" classname="{module}" name="{name}">{inner}</testcase>'
        return f"<testsuites><testsuite>{cases}</testsuite></testsuites>".encode()


@dataclass
class Entry:
    blob_sha: str


class FakeTrees(Trees):
    """Trees by name; each commit is its tree."""

    def __init__(self, files: Mapping[str, Mapping[str, bytes]]) -> None:
        self._files = files
        self.opened: list[str] = []

    @override
    def files(self, tree_ish: str) -> Mapping[str, TreeEntry]:
        return {path: Entry("b") for path in self._files.get(tree_ish, {})}

    @override
    def read(self, tree_ish: str, path: str) -> bytes:
        return self._files[tree_ish][path]

    @override
    def tree_sha(self, commit_sha: str) -> str:
        return f"{commit_sha}-tree"

    @override
    def overlay(self, tree_sha: str, *, source_tree: str, paths: Sequence[str]) -> str:
        return f"{tree_sha}+{source_tree}"

    @override
    def commit_tree(
        self,
        tree_sha: str,
        *,
        parents: Sequence[str],
        message: str,
        author_name: str,
        author_email: str,
        timestamp: int,
    ) -> str:
        return tree_sha

    @override
    def pack(self, commit_sha: str, *, depth: int) -> TreePack:
        self.opened.append(commit_sha)
        return TreePack(commit_sha, b"")


class FakeSandbox(Sandbox):
    """Answers runs of the tests with the given ones, the last of them from then on."""

    def __init__(self, runs: Sequence[Run], closed: Callable[[], None]) -> None:
        self._runs, self._closed = list(runs), closed
        self._run = self._runs[0]
        self._canary: str | None = None

    @property
    @override
    def image(self) -> Image:
        return IMAGE

    @override
    def exec(
        self, command: str, *, timeout_s: float, cwd: str = ".", env: Mapping[str, str] | None = None
    ) -> ExecResult:
        if command.startswith("rm "):
            return ExecResult(exit_code=0, output="", duration_s=0)
        if self._runs[0].dies:
            raise SandboxError("the container is gone")
        self._run = self._runs.pop(0) if len(self._runs) > 1 else self._runs[0]
        red = {"failure", "error"} & {*self._run.outcomes.values(), *([self._run.canary] if self._canary else [])}
        code = self._run.exit_code if self._run.exit_code is not None else int(bool(red))
        return ExecResult(exit_code=code, output="out", duration_s=0.5)

    @override
    def read(self, path: str, *, max_bytes: int = 4_000_000) -> bytes:
        if not self._run.outcomes:
            raise FileNotFoundError(path)
        return self._run.xml(self._canary)

    @override
    def write(self, path: str, data: bytes) -> None:
        self._canary = path.removesuffix(".py")

    @override
    def list_files(self) -> tuple[str, ...]:
        return ()

    @override
    def checkpoint(self) -> str:
        return ""

    @property
    @override
    def background(self) -> Background:
        raise NotImplementedError

    @override
    def snapshot(self, known_tree: str) -> Snapshot | None:
        raise NotImplementedError

    @override
    def diff(self) -> str:
        return ""

    @override
    def restore(self, diff: str) -> None: ...

    @override
    def close(self) -> None:
        self._closed()

    @override
    def __enter__(self) -> Self:
        return self

    @override
    def __exit__(self, *exc: object) -> None:
        self.close()


class FakeSandboxes(SandboxProvider):
    """Gives sandboxes by script, and insists that one is closed before the next opens."""

    def __init__(self, runs: Sequence[Run | Sequence[Run]]) -> None:
        self.left = [(run,) if isinstance(run, Run) else run for run in runs]
        self._open = 0

    @override
    def image_for(
        self,
        files: Mapping[str, bytes],
        *,
        pack: TreePack,
        setup: tuple[str, ...] | None,
        progress: Callable[[str], None],
        wants: Wants = NOTHING,
    ) -> Image:
        return IMAGE

    @override
    def open(self, image: Image, pack: TreePack, *, labels: Mapping[str, str]) -> Sandbox:
        assert self._open == 0
        assert labels == {"coder.run": "r"}
        self._open += 1
        return FakeSandbox(self.left.pop(0), self._close)

    @override
    def sweep(self, *, run_id: str | None = None) -> int:
        return 0

    def _close(self) -> None:
        self._open -= 1


BEFORE = {"a.py": b"x = 1\n", "t.py": b"def test_old():\n    assert 1\n"}
AFTER = {"a.py": b"x = 2\n", "t.py": b"def test_old():\n    assert 1\n\n\ndef test_new():\n    assert 2\n"}
GREEN = Run({OLD: "pass"})
BOTH = Run({OLD: "pass", NEW: "pass"})
RED_NEW = Run({OLD: "pass", NEW: "failure"})


def verified(
    *runs: Run | Sequence[Run], paths: Sequence[str] = ("a.py", "tests/t.py")
) -> tuple[Verification, FakeSandboxes]:
    trees = FakeTrees({"base": BEFORE, "head": AFTER})
    sandboxes = FakeSandboxes(runs)
    files = tuple(FileChange(path=path, status="modified") for path in paths)
    patch = Patch(base_sha="base", tree_sha="head", diff="", files=files)
    verifier = CellVerifier(trees, sandboxes, tests=given("pytest"), timeout_s=9, labels={"coder.run": "r"})
    return verifier.verify(patch, image=IMAGE, round=1), sandboxes


def test_six_runs_make_a_proof() -> None:
    made, sandboxes = verified(GREEN, BOTH, RED_NEW, GREEN, RED_NEW, BOTH)

    assert made.verdict.kind == "proven", made.verdict
    assert made.evidence.proving_tests == ("t.py::test_new",)
    assert sandboxes.left == []


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

    made, _ = verified(GREEN, flaky, RED_NEW, GREEN, BOTH, BOTH, GREEN, RED_NEW, BOTH)

    assert made.verdict.kind == "passing"
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

    made, _ = verified(GREEN, broken, RED_NEW, GREEN, broken, BOTH, GREEN)

    assert made.verdict.kind == "regressed"
    assert any("passing when run alone" in reason for reason in made.verdict.reasons)


def test_an_old_test_that_fails_once_in_its_old_form_is_not_held_against_the_patch() -> None:
    flaky = Run({OLD: "failure"})

    made, _ = verified(GREEN, BOTH, RED_NEW, flaky, GREEN, GREEN, GREEN, RED_NEW, BOTH)
    broken, _ = verified(GREEN, BOTH, RED_NEW, flaky, flaky, flaky, GREEN)
    often, _ = verified(GREEN, BOTH, RED_NEW, flaky, flaky, GREEN, GREEN)

    assert made.verdict.kind == "proven"
    assert broken.verdict.kind == often.verdict.kind == "unverified"


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
    made, _ = verified(GREEN, Run(dies=True), RED_NEW, GREEN)

    assert made.verdict.kind == "regressed"
    assert "the sandbox died while the tests ran: the container is gone" in made.verdict.reasons[0]


def test_a_sandbox_that_always_dies_is_nobodys_regression() -> None:
    made, _ = verified(*[Run(dies=True)] * 4)

    assert made.verdict.kind == "unverified"


def test_source_alone_takes_two_runs_and_one_of_a_failing_test() -> None:
    made, sandboxes = verified(GREEN, GREEN, GREEN, paths=("a.py",))

    assert made.verdict.kind == "passing"
    assert [cell.name for cell in made.evidence.cells] == ["base", "head"]
    assert sandboxes.left == []


def test_what_stays_open_is_listed() -> None:
    made, _ = verified(GREEN, GREEN, GREEN, paths=("a.py", "requirements.txt"))

    assert any("requirements.txt" in line for line in made.evidence.not_verified)
