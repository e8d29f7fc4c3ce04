"""Submodules: other repositories, each at one commit, inside a repository's tree.

Their files are needed to build and to test. They are fetched from the repository's own host and from nowhere else: where
they point is written by whoever can change `.gitmodules`.
"""

import re
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from coder.errors import WorkspaceError
from coder.types import Remote, RepoRef
from coder.workspace.git import Git
from coder.workspace.repository import Repository
from coder.workspace.workspace import Workspace

MAX_SUBMODULES: Final = 20
"""Fetched for one commit, those inside of others included."""
MAX_DEPTH: Final = 3
MAX_TOTAL_BYTES: Final = 256 << 20
"""Packed, all of them: they lie in the memory of each sandbox."""
TOTAL_S: Final = 240.0
"""For all of them."""
MANIFEST: Final = ".gitmodules"

_PATH = re.compile(r"/[A-Za-z0-9][A-Za-z0-9._+~-]*(?:/[A-Za-z0-9._+~-]+)+\Z")
_SCP = re.compile(r"(?:[\w.-]+@)?([A-Za-z0-9.-]+):(?!//)(.+)\Z")
"""`git@host:owner/name.git`."""
_SCHEMES: Final = frozenset({"https", "http", "ssh", "git"})


@dataclass(frozen=True, slots=True)
class Submodule:
    """One of them, as the tree and `.gitmodules` tell."""

    path: str
    sha: str
    name: str = ""
    url: str = ""


@dataclass(frozen=True, slots=True)
class Fetched:
    """What became of them: paths that are there, and a line for each that is not."""

    present: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()


def submodules(repository: Repository, commit_sha: str) -> tuple[Submodule, ...]:
    """The submodules of a commit; without name and URL where `.gitmodules` does not tell them."""
    files = repository.files(commit_sha)
    links = {path: entry.blob_sha for path, entry in files.items() if entry.mode == "160000"}
    if not links:
        return ()
    known = _declared(repository.read(commit_sha, MANIFEST)) if MANIFEST in files else {}
    return tuple(replace(known.get(path, Submodule(path, "")), sha=sha) for path, sha in links.items())


def _declared(manifest: bytes) -> Mapping[str, Submodule]:
    """What `.gitmodules` says, by path."""
    finished = Git().run(["config", "--file", "-", "--no-includes", "--list", "-z"], stdin=manifest)
    if finished.exit_code != 0:
        return {}
    found: dict[str, dict[str, str]] = {}
    for record in finished.stdout.decode("utf-8", "surrogateescape").split("\0"):
        key, _, value = record.partition("\n")
        section, _, variable = key.rpartition(".")
        if section.startswith("submodule."):
            # The first counts, as it does for git: a later one may be there to be overlooked.
            found.setdefault(section.removeprefix("submodule."), {}).setdefault(variable, value)
    said = (Submodule(one.get("path", ""), "", name, one.get("url", "")) for name, one in found.items())
    return {one.path: one for one in said if one.path}


def remote_of(module: Submodule, parent: Remote) -> Remote:
    """Where `module` of the repository at `parent` is fetched from.

    The credential goes along to repositories of the same owner only.

    Raises:
        WorkspaceError: It is not on the same host, or its URL is none; says why.
    """
    if not module.url:
        raise WorkspaceError(f"{MANIFEST} does not say where it is")
    if parent.local:
        return _checked_out(module, parent)
    here = urlsplit(parent.url)
    if module.url.startswith(("./", "../")):
        host, path = here.netloc, _joined(here.path, module.url)
    else:
        host, path = _host_and_path(module.url)
        # ssh and git:// name the host alone; a port is one of theirs.
        if host.casefold() not in {here.netloc.casefold(), (here.hostname or "").casefold()}:
            raise WorkspaceError(f"it is on {host[:100] or 'no host'!r}; only {here.netloc} is asked")
    if not _PATH.match(path) or any(part in {".", ".."} for part in path.split("/")):
        raise WorkspaceError("its URL is not that of a repository")
    # Without the ending some hosts answer with a redirect, which is not followed.
    url = f"{here.scheme}://{here.netloc}{path.removesuffix('.git')}.git"
    return Remote(url=url, authorization=parent.authorization if _owner(path) == _owner(here.path) else None)


def _host_and_path(url: str) -> tuple[str, str]:
    if scp := _SCP.match(url):
        return scp[1], "/" + scp[2].lstrip("/")
    try:
        parts = urlsplit(url)
        host = parts.hostname or ""
        port = parts.port
    except ValueError:
        return "", ""
    if parts.scheme not in _SCHEMES or parts.query or parts.fragment:
        return "", ""
    return (f"{host}:{port}" if port and parts.scheme in {"http", "https"} else host), parts.path


def _joined(base: str, relative: str) -> str:
    """A relative URL as git resolves it: against the repository itself, as if that were a folder."""
    parts = base.strip("/").split("/")
    for part in relative.rstrip("/").split("/"):
        if part == "..":
            if not parts:
                return ""
            parts.pop()
        elif part not in {"", "."}:
            parts.append(part)
    return "/" + "/".join(parts)


def _owner(path: str) -> str:
    return path.strip("/").rpartition("/")[0].casefold()


def _checked_out(module: Submodule, parent: Remote) -> Remote:
    """What the checkout itself has of it; no path out of it is followed."""
    parts = module.name.split("/")
    if any(part in {"", ".", ".."} or "\0" in part for part in parts):
        raise WorkspaceError("its name is not that of a submodule")
    top = Path(parent.url)
    git_dir = top if top.parts[-2:-1] == ("modules",) or (top / "HEAD").is_file() else top / ".git"
    folder = git_dir / "modules" / module.name
    if not (folder / "HEAD").is_file():
        raise WorkspaceError("it is not checked out here: `git submodule update --init` does that")
    return Remote(url=str(folder), local=True)


@dataclass(slots=True)
class _Budget:
    """What is left for further ones."""

    count: int = MAX_SUBMODULES
    size: int = MAX_TOTAL_BYTES
    deadline: float = 0.0


def fetch_submodules(workspace: Workspace, repository: Repository, remote: Remote, commit_sha: str) -> Fetched:
    """Fetch the submodules of a commit, and theirs; `repository` packs them with whatever tree has them from now on.

    What cannot be had is told and stops nothing.
    """
    budget = _Budget(deadline=time.monotonic() + TOTAL_S)
    return _fetched(workspace, repository, remote, commit_sha, budget, depth=0)


def _fetched(
    workspace: Workspace, repository: Repository, remote: Remote, commit_sha: str, budget: _Budget, *, depth: int
) -> Fetched:
    present: list[str] = []
    missing: list[str] = []
    for module in submodules(repository, commit_sha):
        try:
            inner = _one(workspace, repository, remote, module, budget, depth=depth)
        except WorkspaceError as exc:
            missing.append(f"{module.path}: {exc}")
            continue
        present += [module.path, *(f"{module.path}/{path}" for path in inner.present)]
        missing += [f"{module.path}/{line}" for line in inner.missing]
    return Fetched(tuple(present), tuple(missing))


def _one(
    workspace: Workspace,
    repository: Repository,
    parent: Remote,
    module: Submodule,
    budget: _Budget,
    *,
    depth: int,
) -> Fetched:
    remote = remote_of(module, parent)
    left_s = budget.deadline - time.monotonic()
    if budget.count <= 0 or depth >= MAX_DEPTH or left_s <= 0:
        raise WorkspaceError(f"no more than {MAX_SUBMODULES} are fetched, {MAX_DEPTH} deep, within {TOTAL_S:.0f} s")
    budget.count -= 1
    owner, _, name = urlsplit(remote.url).path.strip("/").rpartition("/")
    repo = RepoRef(owner=owner, name=name.removesuffix(".git"))
    mirror = workspace.fetch(remote, repo, module.sha, timeout_s=left_s)
    inner = _fetched(workspace, mirror, remote, module.sha, budget, depth=depth + 1)
    pack = mirror.pack(module.sha, depth=1)
    budget.size -= len(pack.pack)
    if budget.size < 0:
        raise WorkspaceError(f"all of them together are larger than {MAX_TOTAL_BYTES >> 20} MiB")
    repository.modules[module.sha] = pack
    return inner
