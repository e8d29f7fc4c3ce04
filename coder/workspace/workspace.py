"""Service-owned bare repositories: one mirror for each remote, shared by all runs and processes."""

import fcntl
import hashlib
import os
import re
import shutil
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from coder.errors import WorkspaceError
from coder.types import Remote, RepoRef
from coder.workspace.git import NETWORK_TIMEOUT_S, UPLOAD_PACK, Git, checked_sha
from coder.workspace.repository import Repository

LOCK_POLL_S = 0.05
SHA1_DIGITS = 40


IN_USE = timedelta(days=2)
"""Longer than a run lasts."""


@dataclass(frozen=True, slots=True)
class Mirror:
    """A mirror as it lies on the disk."""

    name: str
    used: datetime
    """When a run last asked for it."""
    size_mb: float


class Workspace:
    """The mirrors under `root`, which is ours alone (mode 0700).

    `http_hosts` (`host` or `host:port`) are the only ones spoken to without TLS; `ca_bundle` and `proxies` are for HTTPS.
    """

    def __init__(
        self,
        root: Path,
        *,
        http_hosts: frozenset[str] = frozenset(),
        ca_bundle: Path | None = None,
        proxies: Mapping[str, str] | None = None,
    ) -> None:
        self._root = root.absolute()
        self._trust_owner = self._root / "local-remotes.gitconfig"
        self._git = Git(http_hosts=http_hosts, ca_bundle=ca_bundle, proxies=proxies, trust_owner=self._trust_owner)

    def fetch(self, remote: Remote, repo: RepoRef, sha: str, *, timeout_s: float = NETWORK_TIMEOUT_S) -> Repository:
        """The mirror of `remote`, with the commit `sha` and its history in it.

        A commit that is already there costs no network.

        Raises:
            WorkspaceError: The remote cannot be read, has no such commit, or another process holds the mirror too long.
        """
        checked_sha(sha)
        folder = self._mirror(remote, repo)
        repository = Repository(folder, git=self._git)
        if folder.is_dir() and _kept(self._git, folder, sha):
            os.utime(folder)  # what is in use is not thrown away
            return repository
        with self._locked(folder.name):
            if not folder.is_dir():
                self._create(folder, sha)
            if not _kept(self._git, folder, sha):
                self._download(folder, remote, repo, sha, timeout_s)
            os.utime(folder)
        return repository

    def collect(self, *, older_than: timedelta, keep_mb: float, now: datetime) -> tuple[Mirror, ...]:
        """Remove mirrors that no run has asked for since `older_than`, and the longest unused beyond `keep_mb` together.

        One that was asked for within `IN_USE` stays whatever its size: a run may read it. What is gone comes back.
        """
        root = self._root / "mirrors"
        found = sorted(_measured(root), key=lambda mirror: mirror.used, reverse=True)
        gone, total_mb = [], 0.0
        for mirror in found:
            unused = now - mirror.used
            if unused > IN_USE and (unused > older_than or total_mb + mirror.size_mb > keep_mb):
                with self._locked(mirror.name):
                    # Out of the way in one step: a run that comes now makes a new one.
                    doomed = root / f"old-{mirror.name}-{os.getpid()}"
                    (root / mirror.name).rename(doomed)
                shutil.rmtree(doomed, ignore_errors=True)
                gone.append(mirror)
            else:
                total_mb += mirror.size_mb
        return tuple(gone)

    def _mirror(self, remote: Remote, repo: RepoRef) -> Path:
        """A folder name that nobody can steer: a readable part in safe characters, then a hash of what it mirrors."""
        digest = hashlib.sha256(f"{remote.url}\0{repo.full_name}".encode("utf-8", "surrogateescape")).hexdigest()
        readable = re.sub(r"[^A-Za-z0-9]+", "-", repo.name)[:40].strip("-")
        return self._root / "mirrors" / f"{readable or 'repository'}-{digest[:16]}.git"

    def _create(self, folder: Path, sha: str) -> None:
        """Make an empty mirror under another name and move it in: a killed process leaves no half of one."""
        folder.parent.mkdir(parents=True, exist_ok=True)
        fresh = Path(tempfile.mkdtemp(prefix="new-", dir=folder.parent))
        try:
            object_format = "sha1" if len(sha) == SHA1_DIGITS else "sha256"
            args = ["init", "--quiet", "--bare", "--template=", f"--object-format={object_format}", str(fresh)]
            self._git.output(args)
            fresh.rename(folder)
        finally:
            shutil.rmtree(fresh, ignore_errors=True)

    def _download(self, folder: Path, remote: Remote, repo: RepoRef, sha: str, timeout_s: float) -> None:
        args = [
            "fetch",
            "--quiet",
            # Tags of the history come along: git's default where a ref is written.
            "--no-write-fetch-head",
            "--no-auto-maintenance",
            "--no-show-forced-updates",
        ]
        if remote.local:
            # A checkout of continuous integration often has a cut history; then so has its mirror.
            args += [UPLOAD_PACK, "--update-shallow"]
        args += ["--end-of-options", remote.url, f"+{sha}:refs/coder/kept/{sha}"]
        finished = self._git.talk(args, remote, git_dir=folder, timeout_s=timeout_s)
        if finished.exit_code != 0 or not _kept(self._git, folder, sha):
            raise finished.error(f"cannot fetch commit {sha[:12]} of {repo.full_name}")

    @contextmanager
    def _locked(self, name: str) -> Iterator[None]:
        """Hold the mirror's lock between processes; it is the kernel's, so a killed holder releases it."""
        self._prepare()
        handle = os.open(self._root / "locks" / f"{name}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            deadline = time.monotonic() + NETWORK_TIMEOUT_S
            while True:
                try:
                    fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    break
                except BlockingIOError:
                    if time.monotonic() > deadline:
                        raise WorkspaceError(f"another process holds the mirror {name} for too long") from None
                    time.sleep(LOCK_POLL_S)
            yield
        finally:
            os.close(handle)

    def _prepare(self) -> None:
        try:
            self._root.mkdir(parents=True, exist_ok=True, mode=0o700)
            (self._root / "locks").mkdir(exist_ok=True)
            if not self._trust_owner.exists():
                # A checkout of another owner (a mounted folder, sudo) is refused by git otherwise; what such a
                # checkout's configuration could run is switched off in the call itself.
                fresh = self._trust_owner.with_suffix(f".{os.getpid()}")
                fresh.write_text("[safe]\n\tdirectory = *\n")
                fresh.replace(self._trust_owner)
        except OSError as exc:
            raise WorkspaceError(f"cannot write to the workspace folder {self._root}: {exc}") from exc


def _kept(git: Git, folder: Path, sha: str) -> bool:
    """Whether the mirror holds the commit under a ref, so with all that it needs."""
    args = ["rev-parse", "--verify", "--quiet", "--end-of-options", f"refs/coder/kept/{sha}^{{commit}}"]
    finished = git.run(args, git_dir=folder)
    return finished.exit_code == 0 and finished.stdout.strip() == sha.encode()


def _measured(root: Path) -> Iterator[Mirror]:
    """Every mirror there is, also what a killed process left of one."""
    try:
        folders = [entry for entry in os.scandir(root) if entry.is_dir(follow_symlinks=False)]
    except FileNotFoundError:
        return
    for entry in folders:
        try:
            sizes = (Path(at, name).lstat().st_size for at, _, names in os.walk(entry.path) for name in names)
            used = datetime.fromtimestamp(entry.stat().st_mtime, UTC)
            yield Mirror(entry.name, used, round(sum(sizes) / 2**20, 1))
        except FileNotFoundError:
            continue  # somebody else was quicker
