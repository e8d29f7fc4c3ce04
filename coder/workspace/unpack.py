"""A packed commit as a repository that can be fetched from: what lets a run be replayed where its remote is not."""

from pathlib import Path

from coder.errors import WorkspaceError
from coder.types import Remote, TreePack
from coder.workspace.git import PLUMBING_TIMEOUT_S, Git, checked_sha

_SHA1_DIGITS = 40
_MEMORY_MB = 2_048
"""For unpacking what a stranger may have packed."""


def unpacked(pack: TreePack, folder: Path, *, git: Git) -> Remote:
    """A bare repository in `folder` (not there yet) with the commit, as a remote.

    Raises:
        WorkspaceError: It is no pack, or the commit is not in it.
    """
    sha = checked_sha(pack.commit_sha)
    form = "sha1" if len(sha) == _SHA1_DIGITS else "sha256"
    git.output(["init", "--quiet", "--bare", "--template=", f"--object-format={form}", str(folder)])
    if pack.shallow:
        cut = "".join(f"{checked_sha(one)}\n" for one in pack.shallow)
        (folder / "shallow").write_text(cut, encoding="ascii")
    finished = git.run(
        ["index-pack", "--stdin"],
        git_dir=folder,
        stdin=pack.pack,
        timeout_s=4 * PLUMBING_TIMEOUT_S,
        memory_mb=_MEMORY_MB,
    )
    if finished.exit_code != 0:
        raise WorkspaceError(f"cannot unpack commit {sha[:12]}: {finished.reason}")
    git.output(["update-ref", "refs/heads/base", sha], git_dir=folder)
    return Remote(url=str(folder.absolute()), local=True)
