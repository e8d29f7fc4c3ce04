"""How the tests go before anything is changed: told to the model first, so that it need not find out which were red."""

import hashlib
import logging

from pydantic import ValidationError

from coder.errors import JournalError
from coder.memory.store import MemoryStore
from coder.sandbox.protocol import Sandbox
from coder.services import Ground, Services
from coder.trace.events import Baseline
from coder.types import Cell
from coder.verify.cells import run_cell
from coder.verify.excerpt import excerpt
from coder.verify.shelf import Shelf, key_of

logger = logging.getLogger(__name__)

MAX_NAMED = 200
"""Red tests that are named."""
_END_CHARS = 300
"""How much is told of a suite that names no tests, and of what it printed last."""
_WHY_CHARS = 1_500
"""How much is told of the reasons for which tests are red."""


def baseline(services: Services, ground: Ground, base_sha: str, sandbox: Sandbox, shelf: Shelf) -> Baseline | None:
    """One run of the whole suite in `sandbox`, which holds the base commit and holds just it afterwards, too.

    What is said of it is kept for later runs on the same commit and image, unless time ran out, and the run itself on the
    `shelf` for the verdict: it is one of base in a sandbox where nothing else was done. None when no way to run tests is known, or policy wants none.
    """
    timeout_s = services.policy.baseline_s
    if ground.tests is None or not timeout_s:
        return None
    what = f"{ground.image.digest} {base_sha} {ground.tests.shown} {timeout_s}"
    key = hashlib.sha256(what.encode("utf-8", "surrogateescape")).hexdigest()
    if (found := kept(services.memory, key)) is None:
        tree_sha = ground.repository.tree_sha(base_sha)
        shelved = key_of("base", tree_sha, ground.tests, ground.image)
        if (cell := shelf.taken(shelved)) is None:
            services.progress("running the tests as they are")
            cell = run_cell(sandbox, name="base", tree_sha=tree_sha, command=ground.tests, timeout_s=timeout_s)
            sandbox.restore("")
            if cell.exit_code is not None:
                shelf.put(shelved, cell)
        found = told(cell, timeout_s)
        if cell.exit_code is not None:  # what was too slow now may be fast enough when the machine is less busy
            keep(services.memory, key, found)
    return found


def told(cell: Cell, timeout_s: float) -> Baseline:
    """What is said of a run of the suite."""
    report = cell.report
    if cell.exit_code is None:
        problem = f"the whole suite takes longer than {timeout_s:.0f} s: run the parts that matter"
    elif not report.by_id:
        end = " ".join(cell.output_tail.split())[-_END_CHARS:] if cell.exit_code else ""
        problem = f"exit code {cell.exit_code}: {report.problem or 'no more is known'}"[:_END_CHARS]
        problem += f"; the end of its output: {end}" if end else ""
    else:
        problem = ""
    red = (*report.failed, *report.errored)
    return Baseline(
        passed=len(report.passed),
        red=red[:MAX_NAMED],
        red_count=len(red),
        duration_s=cell.duration_s,
        problem=" ".join(problem.split())[: 3 * _END_CHARS],
        why=excerpt(cell.output_tail, red)[:_WHY_CHARS] if red else "",
    )


def kept(memory: MemoryStore | None, key: str) -> Baseline | None:
    """What was kept under `key`; nothing when the memory is broken, for the work goes on without it."""
    try:
        text = memory.kept(key) if memory else None
        return None if text is None else Baseline.model_validate_json(text)
    except (JournalError, ValidationError) as exc:
        logger.warning("no kept baseline", extra={"why": str(exc)})
        return None


def keep(memory: MemoryStore | None, key: str, found: Baseline) -> None:
    """Keep it, where there is a memory that works."""
    try:
        if memory is not None:
            memory.keep(key, found.model_dump_json())
    except JournalError as exc:
        logger.warning("baseline not kept", extra={"why": str(exc)})
