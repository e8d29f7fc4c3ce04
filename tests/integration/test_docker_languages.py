"""One small project per language, set up, and tested where there is no network."""

from collections.abc import Iterator, Mapping
from pathlib import Path

import docker
import pytest

from coder.sandbox.docker_backend import DockerSandboxProvider
from tests.contract.sandbox_support import committed, settings

# The first of these on a machine builds an image.
pytestmark = [pytest.mark.docker, pytest.mark.timeout(1800)]

PROJECTS: Mapping[str, tuple[Mapping[str, bytes], str]] = {
    "python": (
        {
            "requirements.txt": b"tomli-w==1.0.0\n",
            "app.py": b"import tomli_w\n\n\ndef text():\n    return tomli_w.dumps({'a': 1})\n",
            "test_app.py": b"from app import text\n\n\ndef test_text():\n    assert text() == 'a = 1\\n'\n",
        },
        "pytest -q",
    ),
    "node": (
        {
            "package.json": b'{"name": "x", "dependencies": {"is-odd": "3.0.1"}, "scripts": {"test": "node --test test.js"}}',
            "test.js": (
                b"const test = require('node:test'), assert = require('node:assert'), odd = require('is-odd');\n"
                b"test('odd', () => assert.ok(odd(3)));\n"
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
                b'package x\n\nimport "testing"\n\nfunc TestAnswer(t *testing.T) {\n\tif Answer() != 42 {\n'
                b'\t\tt.Fatal("no")\n\t}\n}\n'
            ),
        },
        "go test ./...",
    ),
}


@pytest.fixture
def engine() -> Iterator[docker.APIClient]:
    client = docker.APIClient(version="auto")
    yield client
    client.close()


@pytest.mark.parametrize("language", PROJECTS)
def test_a_project_builds_and_its_tests_tell_right_from_wrong(
    engine: docker.APIClient, tmp_path: Path, language: str
) -> None:
    files, command = PROJECTS[language]
    pack = committed(tmp_path, files)
    # Compilers need room: the go tool chain fills some 200 MB of cache.
    with DockerSandboxProvider(settings(memory_mb=2048, workspace_mb=256, tmp_mb=768)) as provider:
        image = provider.image_for(files, pack=pack, setup=None, progress=lambda _: None)
        try:
            assert image.setup_ok, image.setup_log
            with provider.open(image, pack, labels={"run": "languages"}) as sandbox:
                right = sandbox.exec(command, timeout_s=300)
                sandbox.exec("sed -i 's/odd(3)/odd(2)/; s/42 }/41 }/; s/: 1}/: 2}/' test.js x.go app.py", timeout_s=30)
                wrong = sandbox.exec(command, timeout_s=300)
                assert (right.exit_code, wrong.exit_code) == (0, 1), right.output + wrong.output
                assert "package-lock" not in sandbox.diff()
        finally:
            if image.reference.startswith("coder-setup:"):
                engine.remove_image(image.reference, force=True)
