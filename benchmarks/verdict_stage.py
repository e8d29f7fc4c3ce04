"""Sets a case up for real: a git repository with its base commit, and the patch that passed our patch rules."""

import shlex
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from benchmarks.verdict_cases import Case
from coder.sandbox.protocol import Image, SandboxProvider, TreePack
from coder.types import Patch
from coder.workspace.git import Git
from coder.workspace.policy import PatchRules
from coder.workspace.repository import Repository

_IDENTITY = ("-c", "user.name=case", "-c", "user.email=case@localhost", "-c", "core.hooksPath=/dev/null")


@dataclass(frozen=True, slots=True)
class Staged:
    """A case as the verifier meets it."""

    repository: Repository
    patch: Patch


def staged(case: Case, folder: Path, backend: tuple[SandboxProvider, Image] | None = None) -> Staged:
    """The repository of `case` in `folder` (empty or new), and its patch; one with commands is made in a sandbox.

    Raises:
        ValueError: The case has commands, and there is no backend.
    """
    folder.mkdir(parents=True, exist_ok=True)
    _git(folder, "init", "-q", "-b", "main")
    _write(folder, case.before)
    _git(folder, "add", "-A")
    _git(folder, "commit", "-q", "-m", "base")
    base = _git(folder, "rev-parse", "HEAD").decode().strip()
    repository = Repository(folder / ".git", git=Git())
    if case.commands:
        if backend is None:
            raise ValueError(f"{case.name} needs a sandbox")
        diff = _worked(case, repository.pack(base), *backend)
    else:
        _write(folder, case.patch)
        _git(folder, "add", "-A")
        printed = _git(folder, "diff", "--cached", "--binary", "--full-index", "--no-renames")
        diff = printed.decode("utf-8", "surrogateescape")
    return Staged(repository, repository.apply(base, diff, PatchRules()))


def _worked(case: Case, pack: TreePack, sandboxes: SandboxProvider, image: Image) -> str:
    """The change as it comes out of a sandbox after the case's files and commands."""
    with sandboxes.open(image, pack, labels={"run": "verdicts"}) as sandbox:
        for path, text in case.patch.items():
            if text is None:
                sandbox.exec(f"rm -- {shlex.quote(path)}", timeout_s=30)
            else:
                sandbox.write(path, text.encode())
        sandbox.exec(case.commands, timeout_s=60)
        return sandbox.diff()


def _write(folder: Path, files: Mapping[str, str | None]) -> None:
    for path, text in files.items():
        target = folder / path
        if text is None:
            target.unlink()
            continue
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text, encoding="utf-8")


def _git(folder: Path, *args: str) -> bytes:
    command = ["git", *_IDENTITY, "-C", str(folder), *args]
    return subprocess.run(command, check=True, capture_output=True, timeout=60).stdout
