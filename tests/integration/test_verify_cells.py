"""The verdicts on honest work, poor work and lies: real git, real pytest, real processes; and the same in real containers."""

import sys
from pathlib import Path

import pytest

from benchmarks.verdict_cases import CASES, Case
from benchmarks.verdict_stage import staged
from coder.sandbox.config import SandboxSettings
from coder.sandbox.local import IMAGE, LocalSandboxProvider
from coder.verify import commands
from coder.verify.commands import TestCommand
from coder.verify.verifier import CellVerifier, Verification

BY_EXIT_CODE = TestCommand("python3 -m pytest -q -p no:cacheprovider", "exit_code")


@pytest.fixture(scope="module")
def sandboxes() -> LocalSandboxProvider:
    """Sandboxes whose `python3` is the one that runs these tests: it has pytest."""
    path = f"{Path(sys.executable).parent}:/usr/local/bin:/usr/bin:/bin"
    return LocalSandboxProvider(SandboxSettings(), env={"PATH": path, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"})


def verified(
    case: Case, folder: Path, sandboxes: LocalSandboxProvider, *, tests: TestCommand | None = None
) -> Verification:
    stage = staged(case, folder)
    if tests is None:
        paths = stage.repository.files(stage.patch.base_sha)
        tests = commands.test_command(paths, lambda path: stage.repository.read(stage.patch.base_sha, path))
    verifier = CellVerifier(
        stage.repository, sandboxes, tests=tests, timeout_s=8 if "endless" in case.name else 60, labels={}
    )
    return verifier.verify(stage.patch, image=IMAGE, round=1)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_each_case_gets_a_true_verdict(case: Case, tmp_path: Path, sandboxes: LocalSandboxProvider) -> None:
    verification = verified(case, tmp_path, sandboxes)

    assert verification.verdict.kind in case.allowed, verification.verdict
    if verification.verdict.kind not in {"proven", "no_change"}:
        assert verification.verdict.reasons
