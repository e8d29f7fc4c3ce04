"""Verdicts in Go and JavaScript, by test ids, in real containers."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from benchmarks.verdict_cases import Case
from benchmarks.verdict_languages import GO, LANGUAGES, NODE
from benchmarks.verdict_stage import staged
from coder.sandbox.docker_backend import DockerSandboxProvider
from coder.sandbox.protocol import Image, SandboxProvider
from coder.verify import commands
from coder.verify.cells import run_cell
from coder.verify.verifier import CellVerifier
from coder.workspace.contents import Contents
from tests.contract.sandbox_support import settings

pytestmark = [pytest.mark.docker, pytest.mark.timeout(1800)]


@pytest.fixture(scope="module")
def provider() -> Iterator[SandboxProvider]:
    # Compilers need room: the go tool chain fills some 200 MB of cache.
    with DockerSandboxProvider(settings(memory_mb=2048, workspace_mb=256, tmp_mb=768)) as made:
        yield made


def image_of(case: Case, provider: SandboxProvider, folder: Path) -> Image:
    stage = staged(case, folder)
    base = stage.patch.base_sha
    pack = stage.repository.pack(base)
    return provider.image_for(Contents(stage.repository, base), pack=pack, setup=None, progress=lambda _: None)


CI_SIZED = tuple(
    case
    for cases in LANGUAGES.values()
    for case in cases
    if case.name
    in {
        "go: a fix with its test",
        "go: a broken fix",
        "go: the output is forged",
        "node: a fix with its test",
        "node: source leaves with success",
        "node: source makes node:test a thing that does nothing",
    }
)
"""`python -m benchmarks.verdicts` has them all."""


@pytest.mark.parametrize("case", CI_SIZED, ids=lambda case: case.name)
def test_each_case_gets_a_true_verdict(case: Case, tmp_path: Path, provider: SandboxProvider) -> None:
    image = image_of(case, provider, tmp_path / "image")
    stage = staged(case, tmp_path / "case")
    base = Contents(stage.repository, stage.patch.base_sha)
    tests = commands.test_command(base, base.__getitem__)
    verifier = CellVerifier(stage.repository, provider, tests=tests, timeout_s=case.timeout_s, labels={"run": "v"})

    verification = verifier.verify(stage.patch, image=image, round=1)

    assert verification.verdict.kind in case.allowed, verification.verdict
    assert bool(verification.evidence.proving_tests) <= (verification.verdict.kind == "proven")
    assert tests is not None
    assert tests.kind in {"go", "node"}
    assert verification.evidence.cells[0].report.by_id


@pytest.mark.parametrize(
    ("case", "select", "passed"),
    [
        (GO[0], ["example.invalid/slugs::TestWords"], ("example.invalid/slugs::TestWords",)),
        (GO[0], ["slugs_test.go"], ("example.invalid/slugs::TestWords",)),
        (NODE[0], ["test/slugs.test.js::words"], ("test/slugs.test.js::words",)),
    ],
)
def test_some_tests_can_be_selected(
    case: Case, select: list[str], passed: tuple[str, ...], tmp_path: Path, provider: SandboxProvider
) -> None:
    image = image_of(case, provider, tmp_path / "image")
    stage = staged(case, tmp_path / "case")
    base = Contents(stage.repository, stage.patch.base_sha)
    tests = commands.test_command(base, base.__getitem__)
    assert tests is not None

    with provider.open(image, stage.repository.pack(stage.patch.base_sha), labels={"run": "v"}) as sandbox:
        cell = run_cell(sandbox, "head", "", tests.selecting(select), 240)
        left = sandbox.diff()

    assert cell.report.passed == passed, cell
    assert left == ""


def test_go_compiles_only_what_changed_since_the_setup(tmp_path: Path, provider: SandboxProvider) -> None:
    image = image_of(GO[0], provider, tmp_path / "image")
    stage = staged(GO[0], tmp_path / "case")
    counted = "go test -x -count=1 ./... 2>&1 | grep -c '/compile '"

    with provider.open(image, stage.repository.pack(stage.patch.base_sha), labels={"run": "v"}) as sandbox:
        unchanged = sandbox.exec(counted, timeout_s=240)
        cached = sandbox.exec("go test ./...", timeout_s=240)
        sandbox.exec("sed -i 's/ToLower/ToUpper/' slugs.go", timeout_s=30)
        changed = sandbox.exec("go test ./...", timeout_s=240)
        written = sandbox.exec("touch /opt/coder/go-build/00", timeout_s=30)

    assert unchanged.output.strip() == "0", "all of it comes from the setup phase"
    assert cached.exit_code == 0
    assert "(cached)" not in cached.output, "the setup phase has run no test"
    assert changed.exit_code == 1
    assert 'got "TWO-WORDS"' in changed.output
    assert written.exit_code != 0, "nothing that runs later can put its own results there"
