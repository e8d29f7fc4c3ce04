"""Projects that are built before they are tested: which command is chosen, and what it tells."""

import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from coder.sandbox.config import SandboxSettings
from coder.sandbox.local import IMAGE, LocalSandboxProvider
from coder.verify import commands
from coder.verify.builds import autotools, ctest
from coder.verify.cells import run_cell
from coder.verify.lines import read_tap
from tests.contract.sandbox_support import committed


def found(files: dict[str, str]) -> commands.TestCommand | None:
    return commands.test_command(files, lambda path: files[path].encode())


def test_cmake_names_tests_where_make_would_tell_an_exit_code() -> None:
    chosen = found({"CMakeLists.txt": "project(x)\nenable_testing()\n", "Makefile": "test:\n\t./t\n", "t.c": ""})

    assert chosen is not None
    assert chosen.kind == "ctest"


def test_cmake_is_told_to_build_the_tests_that_are_off() -> None:
    lists = (
        'option(X_BUILD_TESTS "Build all tests" OFF)\n  option( X_EnableUnitTests OFF )\noption(X_FUZZ_TESTS "" OFF)\n'
        'option(BUILD_TESTING "on" ON)\noption(X_BUILD_DOCS "" OFF)\noption(X_NO_BUILD_TESTS OFF)\noption(X_CUDA_TEST "" OFF)\nenable_testing()\n'
    )
    chosen = found({"CMakeLists.txt": lists})

    assert chosen is not None
    assert '-B "$d" -DX_BUILD_TESTS=ON -DX_EnableUnitTests=ON && cmake --build' in chosen.command
    assert "cmake -S . -B build -DX_BUILD_TESTS=ON -DX_EnableUnitTests=ON &&" in chosen.shown


@pytest.mark.parametrize("noise", ["\n", " ", "option(", "option(a_", "enable_testing"])
def test_a_file_of_noise_is_read_in_no_time(noise: str) -> None:
    text = noise * (1_000_000 // len(noise))

    assert found({"CMakeLists.txt": text, "meson.build": text}) is None


def test_of_a_build_only_the_failure_is_shown(tmp_path: Path) -> None:
    for name, body in (("cmake", "echo built; exit 2"), ("ctest", "echo tested")):
        (tmp_path / name).write_text(f"#!/bin/sh\n{body}\n")
        (tmp_path / name).chmod(0o755)
    environment = {"PATH": f"{tmp_path}:/usr/bin:/bin", "TMPDIR": str(tmp_path)}
    line = ["bash", "-c", ctest().line("r.xml")]

    broken = subprocess.run(line, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    (tmp_path / "cmake").write_text("#!/bin/sh\necho built\n")
    whole = subprocess.run(line, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)

    assert (broken.returncode, broken.stdout) == (1, "built\n")
    assert (whole.returncode, whole.stdout) == (0, "tested\n")
    assert len(list(tmp_path.glob("ctest-*.log"))) == 1


@pytest.mark.parametrize(
    ("files", "shown"),
    [
        ({"configure.ac": "", "Makefile.am": "", "docs/build.py": "", "tests/test_load.py": ""}, "make check"),
        ({"meson.build": "project('x')", "t/meson.build": "test('a', a)\n"}, "meson test -C build --print-errorlogs"),
        ({"meson.build": "project('x')"}, None),
        ({"lib.sln": "", "CMakeLists.txt": "if(TESTS)\n  enable_testing()\n"}, "ctest --test-dir build"),
    ],
)
def test_native_projects_are_tested_by_what_builds_them(files: dict[str, str], shown: str | None) -> None:
    chosen = found(files)

    assert (chosen is None) == (shown is None)
    assert chosen is None or shown is None or shown in chosen.shown


def test_what_automake_recorded_is_told_test_by_test(tmp_path: Path) -> None:
    (tmp_path / "configure").write_text("#!/bin/sh\ncat > Makefile\n")
    (tmp_path / "configure").chmod(0o755)
    (tmp_path / "make").write_text(
        "#!/bin/sh\necho made\n[ $2 = check ] || exit 0\nmkdir -p t\n"
        "printf ':test-result: PASS\\n:recheck: no\\n' > t/good.trs; echo ':test-result: FAIL' > t/bad.trs\n"
        "printf ':test-result: SKIP\\n' > t/off.trs; echo ':test-result: XPASS 1 - odd #1' > t/tap.trs\nexit 2\n"
    )
    (tmp_path / "make").chmod(0o755)
    environment = {"PATH": f"{tmp_path}:/usr/bin:/bin", "TMPDIR": str(tmp_path)}
    line = ["bash", "-c", autotools().line("r.tap")]

    ran = subprocess.run(line, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    report = read_tap((tmp_path / "r.tap").read_bytes(), "").report

    assert (ran.returncode, ran.stdout) == (2, "made\n")
    assert report.problem is None
    assert (report.passed, report.skipped) == (("t/good",), ("t/off",))
    assert report.failed == ("t/bad", "t/tap: 1 - odd 1")


def test_a_build_that_does_not_end_tells_how_far_it_came(tmp_path: Path) -> None:
    (tmp_path / "origin").mkdir()
    slow = replace(ctest(), command=ctest().command.replace("cmake -S", "echo compiling cart.cpp; sleep 60; cmake -S"))
    sandboxes = LocalSandboxProvider(SandboxSettings(), env={"PATH": "/usr/bin:/bin", "TMPDIR": str(tmp_path)})

    with sandboxes.open(IMAGE, committed(tmp_path / "origin", {"a.cpp": b""}), labels={}) as sandbox:
        cell = run_cell(sandbox, "head", "", slow, 3)

    assert cell.report.problem == "killed after 3 s"
    assert cell.output_tail == "compiling cart.cpp"
