"""Judges a branch that exists already, as its author's run would have: the same cells, and no model."""

from collections.abc import Callable, Sequence

from coder.errors import InputError
from coder.sandbox.protocol import NOTHING, SandboxProvider, Wants
from coder.types import FileChange, Patch
from coder.verify.commands import test_command
from coder.verify.rules import ProofRules
from coder.verify.verifier import CellVerifier, Verification
from coder.workspace.contents import Contents
from coder.workspace.repository import Repository


def recheck(
    repository: Repository,
    sandboxes: SandboxProvider,
    *,
    base: str,
    head: str,
    override: str | None = None,
    setup: tuple[str, ...] | None = None,
    wants: Wants = NOTHING,
    timeout_s: float = 900.0,
    progress: Callable[[str], None] = lambda _: None,
    touching: Callable[[str, str], Sequence[str]] = lambda _commit, _path: (),
) -> Verification:
    """The verdict on what commit `head` changes of commit `base`; environment and test command are those of base.

    `override`, `setup` and `wants` are what its own configuration says of these; `touching` is the verifier's.

    Raises:
        InputError: The two have the same files. SandboxError: No sandbox can be had. WorkspaceError: A tree cannot be read.
    """
    patch = patch_between(repository, base, head)
    if not patch.files:
        raise InputError(f"{head[:12]} has the same files as {base[:12]}: there is nothing to verify")
    files = Contents(repository, base)
    image = sandboxes.image_for(files, pack=repository.pack(base, depth=1), setup=setup, progress=progress, wants=wants)
    verifier = CellVerifier(
        repository,
        sandboxes,
        tests=test_command(files, files.__getitem__, override=override),
        timeout_s=timeout_s,
        labels={"coder.run": "verify"},
        # Whether each part is needed is no part of what is published as proof.
        rules=ProofRules(max_hunks=0),
        progress=progress,
        touching=touching,
    )
    return verifier.verify(patch, image=image, round=1)


def patch_between(repository: Repository, base: str, head: str) -> Patch:
    """What differs between two commits, by path."""
    old, new = repository.files(base), repository.files(head)
    changes = [FileChange(path=path, status="deleted") for path in sorted(set(old) - set(new))]
    for path in sorted(new):
        if path not in old:
            changes.append(FileChange(path=path, status="added"))
        elif old[path] != new[path]:
            changes.append(FileChange(path=path, status="modified"))
    return Patch(base_sha=base, tree_sha=repository.tree_sha(head), diff="", files=tuple(changes))


def table(verification: Verification) -> Sequence[str]:
    """The runs, the verdict and what it leaves open, a line each, for a terminal."""
    lines = [f"{'run':<16}{'exit':>7}{'passed':>8}{'failed':>8}{'errors':>8}{'skipped':>8}{'time':>10}"]
    for cell in verification.evidence.cells:
        report = cell.report
        counts = [report.passed, report.failed, report.errored, report.skipped]
        shown = [str(len(ids)) if report.by_id else "?" for ids in counts]
        code = "killed" if cell.exit_code is None else str(cell.exit_code)
        columns = "".join(f"{count:>8}" for count in shown)
        lines.append(f"{cell.name:<16}{code:>7}{columns}{cell.duration_s:>8.1f} s")
    lines.append(f"verdict: {verification.verdict.kind}")
    lines += [f"  {reason}" for reason in verification.verdict.reasons]
    return [*lines, *(f"  not verified: {line}" for line in verification.evidence.not_verified)]
