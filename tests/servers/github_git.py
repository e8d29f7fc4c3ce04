"""Git repositories for tests, made from a dict of files."""

import os
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

ENVIRONMENT = {
    "PATH": "/usr/local/bin:/usr/bin:/bin",
    "HOME": "/nonexistent",
    "GIT_CONFIG_GLOBAL": "/dev/null",
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_AUTHOR_NAME": "Ada",
    "GIT_AUTHOR_EMAIL": "ada@example.org",
    "GIT_AUTHOR_DATE": "@1700000000 +0000",
    "GIT_COMMITTER_NAME": "Ada",
    "GIT_COMMITTER_EMAIL": "ada@example.org",
    "GIT_COMMITTER_DATE": "@1700000000 +0000",
}


def git(
    *args: str, cwd: Path, stdin: bytes | None = None, env: Mapping[str, str] | None = None, check: bool = True
) -> bytes:
    """Run git for a test's set-up and give what it printed."""
    result = subprocess.run(
        ["git", *args],
        cwd=cwd,
        input=stdin if stdin is not None else b"",
        env=ENVIRONMENT | dict(env or {}),
        capture_output=True,
        check=False,
        timeout=120,
    )
    if check and result.returncode != 0:
        raise AssertionError(f"git {' '.join(args)}: {result.stderr.decode('utf-8', 'replace')}")
    return result.stdout


def create_repository(
    folder: Path, files: Mapping[str, str | bytes], *, bare: bool = False, message: str = "Start", branch: str = "main"
) -> str:
    """Make a repository with one commit of `files`; its commit id.

    A name that ends in `*` is executable (without the star), one that ends in `@` is a symbolic link to its content.
    """
    folder.mkdir(parents=True, exist_ok=True)
    git("init", "-q", f"--initial-branch={branch}", *(["--bare"] if bare else []), ".", cwd=folder)
    sha = commit_files(folder, files, message=message, branch=branch)
    if not bare:
        git("reset", "-q", "--hard", sha, cwd=folder)
    return sha


def commit_files(
    folder: Path,
    files: Mapping[str, str | bytes | None],
    *,
    message: str = "Change",
    branch: str = "main",
    parents: Sequence[str] | None = None,
) -> str:
    """Add a commit with these files changed (None removes) to `branch`, without a work tree; its id."""
    tip = git("rev-parse", "-q", "--verify", f"refs/heads/{branch}", cwd=folder, check=False).decode().strip()
    index = {"GIT_INDEX_FILE": str(folder.absolute() / f"test-index-{os.getpid()}")}
    if tip:
        git("read-tree", tip, cwd=folder, env=index)
    for name, content in files.items():
        path = name.rstrip("*@")
        if content is None:
            record = f"0 {'0' * 40}\t{path}"
        else:
            data = content.encode() if isinstance(content, str) else content
            sha = git("hash-object", "-w", "--stdin", cwd=folder, stdin=data).decode().strip()
            mode = {"*": "100755", "@": "120000"}.get(name[-1], "100644")
            record = f"{mode} {sha} 0\t{path}"
        stdin = record.encode("utf-8", "surrogateescape") + b"\0"
        git("update-index", "-z", "--index-info", cwd=folder, env=index, stdin=stdin)
    tree = git("write-tree", cwd=folder, env=index).decode().strip()
    Path(index["GIT_INDEX_FILE"]).unlink(missing_ok=True)
    args = [arg for parent in (parents if parents is not None else [tip] if tip else []) for arg in ("-p", parent)]
    sha = git("commit-tree", tree, *args, cwd=folder, stdin=message.encode()).decode().strip()
    git("update-ref", f"refs/heads/{branch}", sha, cwd=folder)
    return sha
