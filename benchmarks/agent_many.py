"""Many runs in one process, and how soon the first request is on its way: parts of `benchmarks.agent`."""

import json
import os
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any

from coder.agent.loop import Agent
from coder.codemap.syntax import SyntaxChecker
from coder.model.litellm_client import LitellmClient
from coder.model.profile import ModelProfile
from coder.sandbox.config import SandboxSettings
from coder.sandbox.local import LocalSandboxProvider
from coder.tools.base import Toolbox
from coder.tools.edit import EditTool
from coder.tools.files import List, Read, Search
from coder.tools.plan import Plan
from coder.tools.recall import RecallTool
from coder.tools.run import Run
from coder.tools.submit import Submit
from coder.trace.events import Opened
from coder.trace.journal import JournalStore
from coder.trace.recall import Recall
from coder.types import Limits, Message, TreePack

RUNS = 16


def many(profile: ModelProfile, pack: TreePack, folder: Path, *, steps: int) -> dict[str, Any]:
    """One run, then sixteen at once, in this process: requests a second, memory of a further run, edits that are there.

    The tools work in plain folders: sixteen containers would measure the machine.
    """
    store = JournalStore(folder / "many.sqlite")
    provider = LocalSandboxProvider(SandboxSettings(installation="bench-many"))
    with ExitStack() as stack:
        model = stack.enter_context(LitellmClient(profile, None))
        syntax = stack.enter_context(closing(SyntaxChecker()))
        image = provider.image_for({}, pack=pack, setup=None, progress=lambda _: None)

        def run(name: str) -> tuple[int, str]:
            journal = store.open(name)
            sandbox = stack.enter_context(provider.open(image, pack, labels={}))
            recall = Recall(journal)
            tools = Toolbox(
                [
                    *(tool(sandbox) for tool in (List, Read, Run, Search)),
                    Submit(sandbox, journal),
                    EditTool(sandbox, syntax),
                    Plan(),
                    RecallTool(recall),
                ]
            )
            opening = (Message(role="system", content="Work."), Message(role="user", content=f"Go, {name}."))
            journal.append(Opened(messages=opening, tools=tools.specs))
            limits = Limits(max_steps=5_000, max_cost_usd=100)
            Agent(model=model, toolbox=tools, sandbox=sandbox, journal=journal, limits=limits).solve()
            recall.close()
            return len(journal.entries), sandbox.checkpoint()

        _, wanted = run("first")
        before_mb, started, before_cpu_s = _rss_mb(), time.monotonic(), time.process_time()
        with ThreadPoolExecutor(RUNS) as pool:
            done = list(pool.map(run, [f"run-{n}" for n in range(RUNS)]))
        seconds, after_mb, cpu_s = time.monotonic() - started, _rss_mb(), time.process_time() - before_cpu_s
    store.close()
    return {
        "many_runs": RUNS,
        "many_requests_per_s": round(RUNS * steps / seconds, 1),
        "many_cpu_ms_per_request": round(cpu_s * 1000 / (RUNS * steps), 2),
        "mb_per_further_run": round((after_mb - before_mb) / RUNS, 2),
        "many_edits_ok": len([tree for _, tree in done if tree == wanted]),
    }


def cold_start(api_base: str, repository: Path) -> float:
    """When the command line, started anew in `repository`, was started: the first request's time is the server's to tell."""
    with tempfile.TemporaryDirectory(prefix="bench-cold-") as home:
        command = ["env", f"XDG_STATE_HOME={home}", f"CODER_MODEL__API_BASE={api_base}"]
        command += ["CODER_MODEL__PROFILE=kimi-k2-thinking-vllm", sys.executable, "-m", "coder", "run"]
        started = time.monotonic()
        ended = subprocess.run(
            [*command, "--prompt", "Look around.", "--dry-run", f"{home}/out"],
            cwd=repository,
            capture_output=True,
            text=True,
            check=False,
        )
    if ended.returncode >= os.EX_USAGE:
        raise RuntimeError(f"coder run ended with {ended.returncode}: {json.dumps(ended.stderr[-500:])}")
    return started


def _rss_mb() -> float:
    """Resident memory of this process now."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / (1 << 20)
