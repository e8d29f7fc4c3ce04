"""What tests of sandboxes share: small commits as packs, small limits, and the two backends."""

import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from coder.sandbox.config import SandboxSettings
from coder.sandbox.docker_backend import DockerSandboxProvider
from coder.sandbox.local import LocalSandboxProvider
from coder.sandbox.protocol import Image, Sandbox, SandboxProvider, TreePack

Backend = tuple[SandboxProvider, Image]

CERTIFICATES = Path("/etc/ssl/certs/ca-certificates.crt")
FILES: Mapping[str, bytes] = {
    "README.md": b"# Sample\n",
    "src/app.py": b"def answer():\n    return 41\n",
    "tests/test_app.py": b"from src.app import answer\n\n\ndef test_answer():\n    assert answer() == 42\n",
    "run.sh": b"#!/bin/sh\necho hi\n",
    "windows.txt": b"one\r\ntwo\r\n",
    "latin.txt": "caf\u00e9\n".encode("latin-1"),
    "gr\u00fc\u00df/\u00fcber.txt": b"umlaut\n",
    "picture.bin": bytes(range(256)),
    ".gitignore": b"*.log\nbuild/\n",
}
EXECUTABLE = ("run.sh",)


def settings(**changes: object) -> SandboxSettings:
    """Small limits; images and setup phases get the machine's certificates."""
    given: dict[str, object] = {
        "installation": "coder-tests",
        "memory_mb": 512,
        "workspace_mb": 128,
        "tmp_mb": 64,
        "home_mb": 16,
        "repository_mb": 64,
        "pids": 128,
        "ca_bundle": str(CERTIFICATES) if CERTIFICATES.exists() else None,
    }
    return SandboxSettings.model_validate(given | changes)


def git(folder: Path, *args: str | bytes, data: bytes | None = None) -> bytes:
    """Run git in `folder`; its output."""
    identity = ("-c", "user.name=Tester", "-c", "user.email=tester@example.invalid", "-c", "core.autocrlf=false")
    return subprocess.run(["git", *identity, *args], cwd=folder, check=True, capture_output=True, input=data).stdout


def committed(folder: Path, files: Mapping[str, bytes] = FILES) -> TreePack:
    """`files` committed twice into a new repository in `folder`, packed with its history."""
    git(folder, "init", "--quiet", "--initial-branch=main")
    for name, data in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
        path.chmod(0o755 if name in EXECUTABLE else 0o644)
    (folder / "link").symlink_to("README.md")
    git(folder, "add", "--all")
    git(folder, "commit", "--quiet", "-m", "first")
    git(folder, "commit", "--quiet", "--allow-empty", "-m", "second")
    return packed(folder)


def packed(folder: Path) -> TreePack:
    """HEAD of the repository in `folder` as a pack."""
    sha = git(folder, "rev-parse", "HEAD").decode().strip()
    return TreePack(sha, git(folder, "pack-objects", "--stdout", "--revs", "--quiet", data=b"HEAD\n"))


@contextmanager
def docker_backend(**changes: object) -> Iterator[tuple[DockerSandboxProvider, Image]]:
    """Docker with the python image, which is built where it is missing."""
    with DockerSandboxProvider(settings(**changes)) as provider:
        empty = TreePack("", b"")
        yield provider, provider.image_for({"src/app.py": b""}, pack=empty, setup=None, progress=lambda _: None)


@contextmanager
def local_backend() -> Iterator[tuple[SandboxProvider, Image]]:
    """Plain processes."""
    provider = LocalSandboxProvider(settings())
    yield provider, provider.image_for({}, pack=TreePack("", b""), setup=None, progress=lambda _: None)


def out(sandbox: Sandbox, command: str) -> str:
    """What a command prints that must succeed."""
    result = sandbox.exec(command, timeout_s=30)
    assert result.exit_code == 0, result.output
    return result.output
