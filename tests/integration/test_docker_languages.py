"""One small project per language, set up, and tested where there is no network."""

from collections.abc import Iterator, Mapping
from pathlib import Path

import docker
import pytest

from coder.sandbox.docker_backend import DockerSandboxProvider
from coder.sandbox.protocol import Image
from tests.contract.sandbox_support import committed, settings

# The first of these on a machine builds an image.
pytestmark = [pytest.mark.docker, pytest.mark.timeout(1800)]

JAVA = (
    b"class Answer {\n    static int answer() { return 42; }\n\n    public static void main(String[] args) {\n"
    b"        if (answer() != 6 * 7) throw new AssertionError();\n    }\n}\n"
)
CMAKE = b"""cmake_minimum_required(VERSION 3.16)
project(x CXX)
enable_testing()
add_executable(t t.cpp)
add_test(NAME t COMMAND t)
"""
BUILD = "cmake -S . -B /tmp/b > /dev/null && cmake --build /tmp/b > /dev/null && ctest --test-dir /tmp/b"

PROJECTS: Mapping[str, tuple[Mapping[str, bytes], str]] = {
    "base": (
        {"answer.sh": b"echo 42\n", "Makefile": b'test:\n\t[ "$$(sh answer.sh)" -eq $$((6 * 7)) ]\n'},
        "make -s test || exit 1",
    ),
    "python": (
        {
            "requirements.txt": b"tomli-w==1.0.0\n",
            "app.py": b"import tomli_w\n\n\ndef text():\n    return tomli_w.dumps({'a': 42 })\n",
            "test_app.py": b"from app import text\n\n\ndef test_text():\n    assert text() == f'a = {6 * 7}\\n'\n",
        },
        "pytest -q",
    ),
    "node": (
        {
            "package.json": b'{"name": "x", "dependencies": {"is-odd": "3.0.1"}, "scripts": {"test": "node --test test.js"}}',
            "test.js": (
                b"const test = require('node:test'), assert = require('node:assert'), odd = require('is-odd');\n"
                b"test('odd', () => assert.ok(odd( 42 + 1)));\n"
            ),
            ".gitignore": b"node_modules\n",
        },
        "npm test",
    ),
    "go": (
        {
            "go.mod": b"module example.invalid/x\n\ngo 1.19\n",
            "x.go": b"package x\n\nfunc Answer() int { return 42 }\n",
            "x_test.go": (
                b'package x\n\nimport "testing"\n\nfunc TestAnswer(t *testing.T) {\n\tif Answer() != 6*7 {\n'
                b'\t\tt.Fatal("no")\n\t}\n}\n'
            ),
        },
        "go test ./...",
    ),
    "rust": (
        {
            "Cargo.toml": b'[package]\nname = "x"\nversion = "0.1.0"\nedition = "2024"\n',
            ".gitignore": b"target\n",
            "src/lib.rs": b"pub fn answer() -> u8 { 42 }\n\n#[test]\nfn answers() {\n    assert_eq!(answer(), 6 * 7);\n}\n",
        },
        "cargo test --offline -q || exit 1",
    ),
    "java": ({"Answer.java": JAVA, "settings.gradle": b""}, "javac -d /tmp/c Answer.java && java -cp /tmp/c Answer"),
    "ruby": (
        {
            "Gemfile": b"# none\n",
            "test_answer.rb": (
                b"require 'minitest/autorun'\n\nclass TestAnswer < Minitest::Test\n  def answer = 42\n\n"
                b"  def test_answer = assert_equal(6 * 7, answer)\nend\n"
            ),
        },
        "ruby test_answer.rb",
    ),
    "php": (
        {
            "composer.json": b"{}",
            "answer.php": b"<?php function answer() { return 42 ; }",
            "test.php": b"<?php require 'answer.php'; exit(mb_strlen((string) answer()) === 2 && answer() === 6 * 7 ? 0 : 1);",
        },
        "php test.php",
    ),
    "cpp": (
        {
            "CMakeLists.txt": CMAKE,
            "t.cpp": b"int answer() { return 42 ; }\nint main() { return answer() == 6 * 7 ? 0 : 1; }\n",
        },
        f"{{ {BUILD}; }} || exit 1",
    ),
}
"""A project for each image, none of which needs more than this machine's registries; 42 is right, 41 is wrong."""

NEWER: Mapping[str, bytes] = {
    "pyproject.toml": (
        b'[build-system]\nrequires = ["setuptools"]\nbuild-backend = "setuptools.build_meta"\n'
        b'[project]\nname = "newer"\nversion = "1"\nrequires-python = ">=3.12"\n'
        b'[tool.setuptools]\npy-modules = ["newer"]\n'
    ),
    "newer.py": b"type Answer = int\n\n\ndef answer() -> Answer:\n    return 42\n",
    "test_newer.py": b"from newer import answer\n\n\ndef test_answer():\n    assert answer() == 6 * 7\n",
    "tool/go.mod": b"module example.invalid/tool\n\ngo 1.22\n",
    "tool/x_test.go": (
        b'package tool\n\nimport "testing"\n\nfunc TestRange(t *testing.T) {\n\tsum := 0\n'
        b"\tfor n := range 42 {\n\t\tsum += n\n\t}\n\tif sum != 861 {\n\t\tt.Fatal(sum)\n\t}\n}\n"
    ),
}
"""Two languages, each newer than the usual base has it: PEP 695, and ranging over a number."""


@pytest.fixture
def engine() -> Iterator[docker.APIClient]:
    client = docker.APIClient(version="auto")
    yield client
    client.close()


def right_and_wrong(
    engine: docker.APIClient, folder: Path, files: Mapping[str, bytes], command: str
) -> tuple[Image, tuple[int | None, int | None]]:
    """The image that a project gets, and how its tests end as they are and with the wrong answer."""
    pack = committed(folder, files)
    # Compilers need room: the go tool chain fills some 200 MB of cache.
    with DockerSandboxProvider(settings(memory_mb=2048, workspace_mb=256, tmp_mb=768)) as provider:
        image = provider.image_for(files, pack=pack, setup=None, progress=lambda _: None)
        try:
            assert image.setup_ok, image.setup_log
            with provider.open(image, pack, labels={"run": "languages"}) as sandbox:
                right = sandbox.exec(command, timeout_s=300)
                sandbox.exec("git grep -lzw 42 | xargs -0 sed -i 's/\\b42\\b/41/'", timeout_s=30)
                wrong = sandbox.exec(command, timeout_s=300)
                assert right.exit_code == 0, right.output
                assert wrong.exit_code == 1, wrong.output
                assert "package-lock" not in sandbox.diff()
            return image, (right.exit_code, wrong.exit_code)
        finally:
            if image.reference.startswith("coder-setup:"):
                engine.remove_image(image.reference, force=True)


@pytest.mark.parametrize("language", PROJECTS)
def test_a_project_builds_and_its_tests_tell_right_from_wrong(
    engine: docker.APIClient, tmp_path: Path, language: str
) -> None:
    files, command = PROJECTS[language]

    image, ended = right_and_wrong(engine, tmp_path, files, command)

    assert ended == (0, 1)
    assert image.reference.startswith((f"coder-sandbox-{language}:", "coder-setup:"))


def test_newer_languages_are_there_for_who_asks_for_them(engine: docker.APIClient, tmp_path: Path) -> None:
    command = "python -m pytest -q test_newer.py && cd tool && go test ./... || exit 1"

    image, ended = right_and_wrong(engine, tmp_path, NEWER, command)

    assert ended == (0, 1)
    assert "ok" in image.setup_log
