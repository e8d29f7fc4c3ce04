"""`coder verify`: the cells of a pull request or branch again, on this machine, without a model."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from urllib.parse import urlsplit

from coder.app import Application
from coder.codemap.trees import commit_of, git_dir_of
from coder.errors import InputError
from coder.forge.github_pull import read_pull
from coder.publish.claim import MAX_EVIDENCE_BYTES, Published, comparison, published, published_in
from coder.repo_config import repo_config
from coder.settings import Settings
from coder.types import Remote, RepoRef, VerdictKind
from coder.verify.recheck import recheck, table
from coder.verify.touching import by_code_map
from coder.workspace.contents import Contents
from coder.workspace.git import Git
from coder.workspace.repository import Repository
from coder.workspace.submodules import fetch_submodules

_PULL = re.compile(r"(?:(https?://[^/\s]+)/)?([A-Za-z0-9_.-]+)/([A-Za-z0-9_.-]+)(#|/pull/)([0-9]{1,9})/?")


@dataclass(frozen=True, slots=True)
class _Found:
    """The two commits, where they are, and what was said of them."""

    repository: Repository
    remote: Remote
    base: str
    head: str
    claim: Published | None


def verify(
    target: str,
    *,
    repo: Path,
    base: str,
    evidence: Path | None,
    settings: Settings,
    unsafe: bool,
    echo: Callable[[str], None],
) -> tuple[VerdictKind, bool]:
    """Repeat the cells of a pull request (`owner/repo#12` or its address) or of a branch of the checkout `repo`.

    Tells how they went, and of published evidence line by line whether it holds; gives the verdict, and whether all of it
    does. `base` is the commit to hold a branch against; without one, where it left the checkout's HEAD.

    Raises:
        CoderError: What was typed does not fit, or our own machinery failed.
    """
    with Application(settings) as app:
        pull = None if base else _PULL.fullmatch(target.strip())
        claim = _claim(evidence)
        found = _of_branch(app, repo, base, target, claim) if pull is None else _of_pull(app, pull, claim)
        for line in _not_fetched(app, found):
            echo(_plain(app.redactor.full(f"· submodule not fetched: {line}")))
        # As in the run: what the base commit says of itself, below what is set on this machine.
        config = repo_config(Contents(found.repository, found.base))
        policy = config.policy(settings.policy)
        verification = recheck(
            found.repository,
            app.sandboxes(unsafe_local=unsafe),
            base=found.base,
            head=found.head,
            override=policy.test_command,
            setup=policy.setup,
            wants=config.wants,
            timeout_s=policy.test_timeout_s,
            progress=lambda station: echo(f"· {station}"),
            touching=by_code_map(app.codemap, found.repository),
        )
        for line in table(verification):
            echo(_plain(app.redactor.full(line)))
        kind = verification.verdict.kind
        if found.claim is None:
            return kind, True
        lines = comparison(found.claim, verification.verdict, verification.evidence)
        holds = all(line.result != "differs" for line in lines)
        echo("the published evidence, line by line:")
        for one in lines:
            echo(_plain(app.redactor.full(f"  {one}")))
        echo("the published evidence holds" if holds else "the published evidence does NOT hold")
    return kind, holds


def _of_pull(app: Application, pull: re.Match[str], claim: Published | None) -> _Found:
    """A pull request's head, and the commit at which it left its base branch. Nothing but its text is taken on trust."""
    github = app.settings.github
    if pull[1] and urlsplit(pull[1]).netloc.lower() != urlsplit(github.git_url).netloc.lower():
        raise InputError(
            f"{pull[1]} is not where github.git_url points ({github.git_url}); set github.api_url and git_url"
        )
    name = RepoRef(owner=pull[2], name=pull[3])
    read = read_pull(github, name, int(pull[5]))
    claim = claim or published_in(read.body)
    workspace = app.workspace()
    workspace.fetch(read.remote, name, read.base_sha)
    repository = workspace.fetch(read.remote, name, read.head_sha)
    return _Found(repository, read.remote, repository.merge_base(read.base_sha, read.head_sha), read.head_sha, claim)


def _of_branch(app: Application, repo: Path, base: str, head: str, claim: Published | None) -> _Found:
    git = Git()
    git_dir = git_dir_of(repo, git)
    shas = [commit_of(git_dir, rev, git) for rev in (base or "HEAD", head)]
    remote, name = (
        Remote(url=str(git_dir), local=True),
        RepoRef(owner="local", name=repo.absolute().name or "checkout"),
    )
    workspace = app.workspace()
    repository = workspace.fetch(remote, name, shas[0])
    workspace.fetch(remote, name, shas[1])
    return _Found(repository, remote, shas[0] if base else repository.merge_base(*shas), shas[1], claim)


def _not_fetched(app: Application, found: _Found) -> Sequence[str]:
    """Fetch the submodules of both commits; those that cannot be had. What only the head names gets no credential."""
    lines: dict[str, None] = {}
    for commit, remote in ((found.base, found.remote), (found.head, replace(found.remote, authorization=None))):
        lines |= dict.fromkeys(fetch_submodules(app.workspace(), found.repository, remote, commit).missing)
    return tuple(lines)


def _claim(path: Path | None) -> Published | None:
    if path is None:
        return None
    try:
        with path.open("rb") as file:
            return published(file.read(MAX_EVIDENCE_BYTES + 1))
    except OSError as exc:
        raise InputError(f"cannot read the evidence {path}: {exc.strerror or exc}") from exc


def _plain(line: str) -> str:
    """What somebody published, or called a test, without characters that play with the terminal."""
    return "".join(character if character.isprintable() else " " for character in line)
