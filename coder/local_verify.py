"""`coder verify`: the cells of a branch in a checkout again, on this machine, without a model."""

from collections.abc import Callable
from pathlib import Path

from coder.app import Application
from coder.codemap.trees import commit_of, git_dir_of
from coder.errors import InputError
from coder.publish.evidence import MAX_EVIDENCE_BYTES, Published, contradictions, published
from coder.settings import Settings
from coder.types import Remote, RepoRef, VerdictKind
from coder.verify.recheck import recheck, table
from coder.workspace.git import Git


def verify_branch(
    repo: Path,
    *,
    base: str,
    head: str,
    evidence: Path | None,
    settings: Settings,
    unsafe: bool,
    echo: Callable[[str], None],
) -> tuple[VerdictKind, bool]:
    """Repeat the cells and tell how they went; the verdict, and whether the published evidence (if any) holds.

    Raises:
        CoderError: What was typed does not fit, or our own machinery failed.
    """
    claim = _claim(evidence)
    git = Git()
    git_dir = git_dir_of(repo, git)
    shas = [commit_of(git_dir, rev, git) for rev in (base, head)]
    with Application(settings) as app:
        remote, name = (
            Remote(url=str(git_dir), local=True),
            RepoRef(owner="local", name=repo.absolute().name or "checkout"),
        )
        workspace = app.workspace()
        repository = workspace.fetch(remote, name, shas[0])
        workspace.fetch(remote, name, shas[1])
        found = recheck(
            repository,
            app.sandboxes(unsafe_local=unsafe),
            base=shas[0],
            head=shas[1],
            override=settings.policy.test_command,
            setup=settings.policy.setup,
            timeout_s=settings.policy.test_timeout_s,
            progress=lambda station: echo(f"· {station}"),
        )
        for line in table(found):
            echo(app.redactor.full(line))
    if claim is None:
        return found.verdict.kind, True
    wrong = contradictions(claim, found.verdict, found.evidence)
    echo("the published evidence holds" if not wrong else "the published evidence does NOT hold:")
    for line in wrong:
        echo(f"  {line}")
    return found.verdict.kind, not wrong


def _claim(path: Path | None) -> Published | None:
    if path is None:
        return None
    try:
        with path.open("rb") as file:
            return published(file.read(MAX_EVIDENCE_BYTES + 1))
    except OSError as exc:
        raise InputError(f"cannot read the evidence {path}: {exc.strerror or exc}") from exc
