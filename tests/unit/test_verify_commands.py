import json
import re
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from coder.verify import commands
from coder.verify.commands import REPORT, TestCommand, given


def found(files: Mapping[str, str], override: str | None = None) -> TestCommand | None:
    def read(path: str) -> bytes:
        return files[path].encode()

    return commands.test_command(files, read, override=override)


@pytest.mark.parametrize(
    ("files", "command"),
    [
        ({"pytest.ini": "[pytest]"}, "pytest"),
        ({"pyproject.toml": "[tool.pytest.ini_options]\ntestpaths = ['t']"}, "pytest"),
        ({"setup.cfg": "[tool:pytest]\n"}, "pytest"),
        ({"tox.ini": "[pytest]\n"}, "pytest"),
        ({"src/a.py": "", "tests/test_a.py": ""}, "pytest"),
        ({"a_test.py": "", "package.json": "{}", "setup.py": ""}, "pytest"),
        ({"a.py": ""}, "pytest"),
        ({"go.mod": "", "a_test.go": ""}, "go test ./..."),
        ({"go.mod": "", "scripts/test_x.py": ""}, "go test ./..."),
        ({"Cargo.toml": ""}, "cargo test --offline --no-fail-fast"),
        ({"package.json": '{"scripts": {"test": "./test.sh"}}'}, "npm test --silent"),
        ({"package.json": '{"scripts": {"test": "echo \\"Error: no test specified\\" && exit 1"}}'}, None),
        ({"pom.xml": ""}, "mvn -q -B -o test"),
        ({"build.gradle.kts": "", "gradlew": ""}, "./gradlew --offline -q test"),
        ({"Makefile": "all:\n\ttrue\ntest: all\n\t./t.sh\n"}, "make test"),
        ({"Makefile": "test := x\n.PHONY: test\n"}, None),
        ({"Makefile": "check:\n"}, "make check"),
        ({"README.md": ""}, None),
        ({}, None),
    ],
)
def test_the_command_is_found_by_markers(files: Mapping[str, str], command: str | None) -> None:
    chosen = found(files)

    if command == "pytest":
        assert chosen is not None
        assert chosen.kind == "pytest"
        assert REPORT in chosen.command
    else:
        assert (chosen.shown if chosen else None) == command


@pytest.mark.parametrize(
    "files",
    [
        {"pyproject.toml": "[[[", "setup.cfg": "no section\n", "tox.ini": "\x00", "package.json": "[" * 100_000},
        {"package.json": '{"scripts": "test"}', "pyproject.toml": "tool = 3"},
        {"package.json": "[]", "Makefile": "\xff\xfe"},
        {"package.json": '{"scripts": {"test": ["jest"]}}'},
    ],
)
def test_markers_that_make_no_sense_are_taken_as_absent(files: Mapping[str, str]) -> None:
    assert found(files) is None


def test_names_that_only_unittest_would_find_are_found() -> None:
    chosen = found({"app/tests.py": "", "app/testsuite.py": "", "setup.py": ""})

    assert chosen is not None
    assert "python_files='test*.py *_test.py tests.py'" in chosen.command


def test_what_an_operator_gives_wins() -> None:
    assert found({"pytest.ini": ""}, "make slow-test") == TestCommand("make slow-test", "exit_code")
    assert found({"pytest.ini": ""}, "  ") == found({"pytest.ini": ""})


@pytest.mark.parametrize(
    "command", ["pytest", "pytest -x tests", "python -m pytest", "py.test a", "uv run pytest -n 2"]
)
def test_a_plain_pytest_call_is_made_to_report(command: str) -> None:
    made = given(command)

    assert made.kind == "pytest"
    assert made.command.startswith(command)
    assert f"--junitxml={REPORT}" in made.command


@pytest.mark.parametrize(
    "command", ["cd x && pytest", "pytest; true", "pytest | tee log", "pytest || true", "pytest $(x)", "tox"]
)
def test_a_shell_line_is_judged_by_its_exit_code(command: str) -> None:
    assert given(command) == TestCommand(command, "exit_code")


def test_a_command_may_say_where_its_report_goes() -> None:
    assert given("tox -- --junitxml={report}").kind == "pytest"


def test_what_is_shown_can_be_typed() -> None:
    chosen = found({"pytest.ini": ""})

    assert chosen is not None
    assert re.fullmatch(r"python3 -m pytest [^{}]*", chosen.shown)
    assert "junit" not in chosen.shown


def test_selected_tests_are_quoted_and_never_options() -> None:
    chosen = found({"pytest.ini": ""})

    assert chosen is not None
    assert chosen.selecting(["a.py::t[x y]", "--co"]).command.endswith(" -- 'a.py::t[x y]' --co")
    assert chosen.selecting([]) == chosen
    assert given("make test").selecting(["a"]) == given("make test")


def test_what_pytest_cannot_import_does_not_stop_the_rest(tmp_path: Path) -> None:
    (tmp_path / "test_a.py").write_text("import no_such_module\n")
    (tmp_path / "test_b.py").write_text("def test_b(): pass\n")
    chosen = found({"pytest.ini": ""})

    assert chosen is not None
    line = chosen.line("report.xml").replace("python3", sys.executable, 1)
    ran = subprocess.run(["bash", "-c", line], cwd=tmp_path, capture_output=True, text=True, check=False)

    assert ran.returncode == 1
    assert "1 passed, 1 error" in ran.stdout
    assert "continue" not in chosen.shown


@pytest.mark.parametrize(
    ("script", "end"),
    [
        ("jest", "}; jest --json --outputFile={report} {select}"),
        ("TZ=UTC npx jest --ci", "}; TZ=UTC jest --ci --json --outputFile={report} {select}"),
        ("jest && tsc --noEmit", "}; jest --json --outputFile={report} {select}"),
        ("cross-env A=1 jest", ""),
        ("react-scripts test", ""),
    ],
)
def test_where_jest_does_not_report_its_arguments_can_be_hidden_from_the_tests(script: str, end: str) -> None:
    chosen = found({"package.json": json.dumps({"scripts": {"test": script}})})

    assert chosen is not None
    assert chosen.kind == "jest"
    assert (chosen.spare.endswith(end) and "process.argv=" in chosen.spare) if end else chosen.spare == ""
    assert chosen.spared().shown == chosen.shown


def test_ava_is_given_time_on_a_busy_machine() -> None:
    made = given("npx ava test/*.js")

    assert "npx ava test/*.js --tap --timeout=2m" in made.command
    assert made.shown == "npx ava test/*.js"


@pytest.mark.parametrize(
    ("call", "told"),
    [("borp", "borp --reporter=tap"), ("tap", "tap --reporter=tap"), ("tape t/*.js", "tape t/*.js")],
)
def test_runners_that_can_print_tap_are_told_to(call: str, told: str) -> None:
    made = given(call)

    assert made.kind == "tap"
    assert f"; {told} {{select}} 2>&1" in made.command
    assert made.shown == call


@pytest.mark.parametrize("call", ["mocha", "npx mocha t.js"])
def test_what_an_old_mocha_prints_becomes_the_report(call: str, tmp_path: Path) -> None:
    binaries = tmp_path / "node_modules" / ".bin"
    binaries.mkdir(parents=True)
    for name in ("mocha", "npx"):
        (binaries / name).write_text("#!/bin/sh\nprintf 'printed\\n{\\n  \"stats\": {\\n'; exit 3\n")
        (binaries / name).chmod(0o755)

    made = given(call)
    ran = subprocess.run(["bash", "-c", made.line("r.json")], cwd=tmp_path, capture_output=True, text=True, check=False)

    assert (ran.returncode, ran.stdout) == (3, "printed\n{\n")
    assert (tmp_path / "r.json").read_text() == 'printed\n{\n  "stats": {\n'


@pytest.mark.parametrize(
    ("script", "kind"),
    [
        ("jest", "jest"),
        ("NODE_OPTIONS=--experimental-vm-modules npx jest --coverage", "jest"),
        ("cross-env CI=1 react-scripts test", "jest"),
        ("vitest", "vitest"),
        ("nyc mocha test/*.js", "mocha"),
        ("node --test", "node"),
        ("c8 node --import tsx --test test/**/*.ts", "node"),
        ("node --test --test-reporter=dot", "exit_code"),
        ("eslint . && jest", "jest"),
        ("npm run build && mocha dist/test", "mocha"),
        ("jest a && jest b", "exit_code"),
        ("jest || true && true", "exit_code"),
        ("npm run test", "exit_code"),
        ("jest | tee log", "exit_code"),
        ("node test.js", "exit_code"),
        ("'jest", "exit_code"),
        ("nyc tape 'test/**/*.js'", "tap"),
        ("xo && ava && tsd", "tap"),
        ("node bin/fix.js mocha test/*.js", "mocha"),
    ],
)
def test_the_script_decides_the_runner(script: str, kind: str) -> None:
    chosen = found({"package.json": json.dumps({"scripts": {"test": script, "pretest": "tsc"}})})

    assert chosen is not None
    assert chosen.kind == kind
    assert (REPORT in chosen.command) == (kind != "exit_code")
    assert "{" not in chosen.shown


@pytest.mark.parametrize(
    ("scripts", "shown"),
    [
        ({"test": "npm run lint && npm run test:unit", "lint": "eslint .", "test:unit": "jest --ci"}, "jest --ci"),
        ({"test": "run-s build unit", "build": "tsc -p .", "unit": "mocha out"}, "tsc -p . && mocha out"),
        (
            {"test": "npm run build && npm run t", "build": "tsc", "t": "node --test out"},
            "npm run build && node --test out",
        ),
        ({"test": "tsc --noEmit && prettier -c . && yarn unit && tsd", "unit": "vitest run"}, "vitest run"),
        ({"test:unit": "vitest", "pretest:unit": "tsc"}, "npm run --silent pretest:unit && vitest"),
        ({"test": "X=1 npx c8 mocha"}, "npm test --silent"),
        ({"test": "X=1 npx c8 mocha", "pretest": "tsc"}, "npm run --silent pretest && X=1 npx c8 mocha"),
        ({"test": "mocha", "pretest": "npm run lint", "lint": "eslint ."}, "mocha"),
        ({"test": "mocha", "pretest": "eslint . && npm run build", "build": "tsc"}, "npm run build && mocha"),
        ({"test": "jest", "pretest": "cd a && eslint . && tsc"}, "npm run --silent pretest && jest"),
        ({"test": "node --test t", "pretest": "standard", "posttest": "npm run upload"}, "node --test t"),
        (
            {"test": "pnpm test-unit && pnpm e2e", "test-unit": "vitest run", "e2e": "vitest run -c e2e.ts"},
            "vitest run",
        ),
        ({"test:unit": "./run.sh"}, "npm run test:unit --silent"),
        ({"test": "npm run one -- --bail", "one": "jest"}, "npm test --silent"),
        ({"test": "npm run a", "a": "npm run b && npm run b", "b": "npm run a && npm run a"}, "npm test --silent"),
        ({"build": "jest"}, None),
        (
            {
                "test": "npm run test:eslint && npm run test:mocha && npm run e2e",
                "test:mocha": "mocha",
                "e2e": "karma start",
            },
            "mocha",
        ),
        ({"test": "node Makefile.js test", "test:cli": "mocha"}, "mocha"),
        ({"test": "xo && ava"}, "ava"),
    ],
)
def test_scripts_that_call_others_are_followed_to_the_runner(scripts: dict[str, str], shown: str | None) -> None:
    chosen = found({"package.json": json.dumps({"scripts": scripts})})

    assert (chosen.shown if chosen else None) == shown
    assert chosen is None or (REPORT in chosen.command) == (chosen.kind != "exit_code")


@pytest.mark.parametrize(
    ("command", "kind"),
    [
        ("python -m unittest discover -s t", "unittest"),
        ("go test -race ./...", "go"),
        ("go test ./pkg/...", "go"),
        ("cargo test --workspace", "cargo"),
        ("bundle exec rspec", "rspec"),
        ("vendor/bin/phpunit --testsuite unit", "phpunit"),
        ("npx vitest run", "vitest"),
        ("node --test test/", "node"),
        ("./gradlew check", "gradle"),
        ("go test ./... && true", "exit_code"),
    ],
)
def test_a_plain_call_of_a_known_runner_tells_ids(command: str, kind: str) -> None:
    made = given(command)

    assert made.kind == kind
    assert made.shown == command or kind == "node"


@pytest.mark.parametrize(
    ("command", "tests", "expected"),
    [
        ("go test ./...", ["sub/a_test.go"], "go test ./sub"),
        ("go test ./...", ["TestA"], "go test '-run=^(TestA)$' ./..."),
        ("go test ./...", ["e.x/m::TestA/sub", "e.x/m::TestB"], "go test '-run=^(TestA|TestB)$' e.x/m"),
        ("cargo test", ["tests/it.rs"], "cargo test --test it"),
        ("cargo test", ["x:src/lib.rs::tests::good"], "cargo test -- tests::good"),
        ("npx jest", ["a.test.js::outer::good", "-x.js"], "npx jest a.test.js ./-x.js"),
        ("mvn test", ["com.x.ATest::adds"], "mvn test '-Dtest=com.x.ATest#adds'"),
        ("gradle test", ["src/test/java/x/ATest.java"], "gradle test --tests ATest"),
        ("node --test test/", ["test/a.js::one"], "node --test test/a.js"),
        ("vendor/bin/phpunit", ["tests/ATest.php::ATest::testOne"], "vendor/bin/phpunit tests/ATest.php"),
    ],
)
def test_each_runner_chooses_tests_in_its_own_way(command: str, tests: list[str], expected: str) -> None:
    assert given(command).selecting(tests).shown.startswith(expected)


def test_phpunit_is_the_machines_where_nothing_installs_it() -> None:
    own, machines = found({"phpunit.xml.dist": "", "composer.json": "{}"}), found({"phpunit.xml": ""})

    assert own is not None
    assert machines is not None
    assert (own.shown, machines.shown) == ("vendor/bin/phpunit", "phpunit")


def test_phpunit_takes_one_path_and_runs_all_of_them_for_several() -> None:
    command = given("vendor/bin/phpunit")

    assert command.selecting(["tests/ATest.php::ATest::testOne", "tests/BTest.php::BTest::testTwo"]) == command


@pytest.mark.parametrize(
    ("script", "dependencies", "shown"),
    [
        ("ts-scripts test && npm run size", ["vitest", "typescript"], "vitest run"),
        ("scripts-of-ours test", ["mocha", "jest"], "npm test --silent"),
        ("scripts-of-ours test", ["tape"], "npm test --silent"),
        ("node run.js", ["jest"], "npm test --silent"),
        ("make test", ["jest"], "npm test --silent"),
        ("'", ["jest"], "npm test --silent"),
    ],
)
def test_a_script_that_tells_no_runner_is_asked_by_its_dependencies(
    script: str, dependencies: list[str], shown: str
) -> None:
    package = {"scripts": {"test": script}, "devDependencies": dict.fromkeys(dependencies, "1")}

    chosen = found({"package.json": json.dumps(package)})

    assert chosen is not None
    assert chosen.shown == shown


@pytest.mark.parametrize(
    ("files", "kind"),
    [
        (("app.sln", "src/app.cs"), "dotnet"),
        (("src/App/App.csproj", "test/App.Tests/App.Tests.csproj"), "dotnet"),
        (("deps/lib/msvc/lib.sln", "src/main.c"), None),
        (("lib_vs2017.sln", "lib/lib.c"), None),
    ],
)
def test_projects_for_windows_of_a_dependency_are_no_tests(files: tuple[str, ...], kind: str | None) -> None:
    chosen = found(dict.fromkeys(files, ""))

    assert (chosen.kind if chosen else None) == kind


def test_programs_with_a_make_target_are_not_tested_by_a_script_that_lies_about() -> None:
    files = {"Makefile": "test:\n\t./runtest\n", "main.c": "", "utils/test_load.py": ""}

    chosen = found(files)
    package = found({**files, "pyproject.toml": ""})

    assert chosen is not None
    assert package is not None
    assert (chosen.kind, package.kind) == ("exit_code", "pytest")


@pytest.mark.parametrize("filled", [True, False])
def test_gradle_is_given_a_home_that_it_can_write_to(tmp_path: Path, *, filled: bool) -> None:
    kept = tmp_path / "kept"
    (kept / "caches").mkdir(parents=True)
    (kept / "caches" / "a.jar").write_text("jar")
    (kept / "caches" / "a.lock").write_text("lock")
    line = given("gradle test").line("r").removesuffix("gradle test ") + "echo $GRADLE_USER_HOME"
    # Root may write anywhere; that it may not is only said here.
    asked = line.replace('[ -w "$kept" ]', "false")
    env = {"PATH": "/usr/bin:/bin", "TMPDIR": str(tmp_path), **({"GRADLE_USER_HOME": str(kept)} if filled else {})}

    said = subprocess.run(["/bin/bash", "-c", asked], env=env, check=True, capture_output=True, text=True, timeout=60)

    home = tmp_path / "gradle-home"
    assert said.stdout.strip() == (str(home) if filled else "")
    assert home.exists() is filled
    assert not filled or (home / "caches" / "a.jar").is_symlink()
    assert not filled or not (home / "caches" / "a.lock").is_symlink()
