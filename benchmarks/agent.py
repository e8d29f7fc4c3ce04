"""What the loop costs beside the model and the tools: a long trajectory against a scripted server without latency.

    python -m benchmarks.agent [--quick]

The server, the agent and this script are three processes. The gap of a step is the time from the last byte of an answer to
the first byte of the next request: tools, checkpoint, journal, encoding and litellm. The last line is one JSON object.
"""

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack, closing
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

import httpx

from benchmarks.agent_kills import kills
from benchmarks.agent_many import cold_start, many
from benchmarks.agent_server import serve
from coder.agent.loop import Agent
from coder.codemap.syntax import SyntaxChecker
from coder.model.litellm_client import LitellmClient
from coder.model.profile import ModelProfile, Prices
from coder.prompts import render
from coder.sandbox.config import SandboxSettings
from coder.sandbox.docker_backend import DockerSandboxProvider
from coder.settings import data_folder
from coder.tools.base import Toolbox
from coder.tools.edit import EditTool
from coder.tools.files import List, Read, Search
from coder.tools.plan import Plan
from coder.tools.recall import RecallTool
from coder.tools.run import Run
from coder.tools.submit import Submit
from coder.trace.events import Opened, Reduced, Resumed, Summarised
from coder.trace.journal import JournalStore
from coder.trace.recall import Recall
from coder.trace.state import spent, state_of
from coder.types import Limits, Message, Remote, RepoRef, TreePack
from coder.workspace.workspace import Workspace

if TYPE_CHECKING:
    from collections.abc import Callable

PRICES = Prices(input=0.60, cached_input=0.15, output=2.50)
"""Kimi K2 Thinking, dollars per million tokens (benchmarks of peers use the same)."""
FILES = 120
MANY_STEPS = 40
"""Of each of the runs that share a process."""


def profile(api_base: str) -> ModelProfile:
    """Kimi K2 Thinking on a host of one's own, at Moonshot's prices."""
    return ModelProfile(
        name="bench",
        model="moonshotai/Kimi-K2-Thinking",
        route="hosted_vllm",
        api_base=api_base,
        api_key_env="NONE",
        key_required=False,
        window_tokens=262_144,
        max_output_tokens=16_000,
        temperature=1.0,
        stream=False,
        history_reasoning="both_keys",
        call_ids="functions",
        prices=PRICES,
    )


def repository(folder: Path) -> str:
    """A repository of `FILES` modules; its HEAD."""
    folder.mkdir()
    for number in range(FILES):
        lines = [f"def f{number}_{n}(x):\n    return x + {n}\n\n" for n in range(40)]
        (folder / f"module_{number}.py").write_text("".join(lines))
    git = ["git", "-C", str(folder), "-c", "user.name=b", "-c", "user.email=b@example.invalid"]
    for args in (["init", "-q", "-b", "main"], ["add", "-A"], ["commit", "-qm", "base"]):
        subprocess.run([*git, *args], check=True)
    return subprocess.run([*git, "rev-parse", "HEAD"], check=True, capture_output=True, text=True).stdout.strip()


def pack_of(options: argparse.Namespace) -> TreePack:
    """The repository as a sandbox is filled with it."""
    folder = Path(options.folder)
    remote = Remote(url=str(folder / "repository"), local=True)
    return Workspace(folder / "mirrors").fetch(remote, RepoRef(owner="b", name="b"), options.sha).pack(options.sha)


def child(options: argparse.Namespace) -> None:
    """The agent on the trajectory, going on from its journal."""
    folder = Path(options.folder)
    store = JournalStore(folder / options.journal)
    journal = store.open("bench")
    model = LitellmClient(profile(options.api_base), None)
    model.warm_up()
    settings = SandboxSettings(installation=f"bench-{os.getppid()}", prewarm=0 if journal.entries else 1)
    with DockerSandboxProvider(settings, images_folder=data_folder("sandbox_images")) as provider, model:
        provider.sweep(run_id="bench")  # what a killed process of this run left behind
        provider.image_for({"module_0.py": b""}, pack=pack_of(options), setup=None, progress=lambda _: None)
        time.sleep(1)  # the worker was idle: a container is at hand, as `coder serve` keeps one
        warm_at = time.monotonic()
        pack = pack_of(options)
        image = provider.image_for({"module_0.py": b""}, pack=pack, setup=None, progress=lambda _: None)
        with ExitStack() as stack, provider.open(image, pack, labels={"coder.run": "bench"}) as sandbox:
            recall = RecallTool(Recall(journal))
            tools = Toolbox(
                [
                    *(tool(sandbox) for tool in (List, Read, Run, Search)),
                    Submit(sandbox, journal),
                    EditTool(sandbox, stack.enter_context(closing(SyntaxChecker()))),
                    Plan(),
                    recall,
                ]
            )
            if journal.entries:
                journal.append(Resumed(version="bench"))
                if checkpoint := state_of(journal.events).checkpoint:
                    sandbox.restore(journal.blob(checkpoint.diff_blob).decode("utf-8", "surrogateescape"))
            else:
                system = Message(role="system", content=render("system", nonce="bench", may_ask=False))
                journal.append(Opened(messages=(system, Message(role="user", content="Go.")), tools=tools.specs))
            before = resource.getrusage(resource.RUSAGE_SELF)
            limits = Limits(max_steps=5_000, max_cost_usd=100)
            agent = Agent(model=model, toolbox=tools, sandbox=sandbox, journal=journal, limits=limits)
            outcome = agent.solve()
            after = resource.getrusage(resource.RUSAGE_SELF)
            tree = sandbox.checkpoint()
    used = spent(journal.entries)
    cpu_s = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    report = {
        "outcome": outcome.kind,
        "steps": used.steps,
        "cpu_ms_per_step": cpu_s * 1000 / max(used.steps, 1),
        "peak_rss_mb": after.ru_maxrss / 1024,
        "cost_usd": used.cost_usd,
        "cached_share": used.cached_tokens / max(used.prompt_tokens, 1),
        "reductions": len([e for e in journal.events if isinstance(e, Reduced | Summarised)]),
        "tree": tree,
        "warm_at": warm_at,
    }
    store.close()
    sys.stdout.write(json.dumps(report) + "\n")


class Bench:
    """The server's process, and agents that are run against it."""

    def __init__(self, folder: Path, steps: int, *, plain: bool = False) -> None:
        folder.mkdir()
        self.folder = folder
        self.sha = repository(folder / "repository")
        command = [sys.executable, "-m", "benchmarks.agent", "--serve", str(steps), *(["--plain"] if plain else [])]
        self._server = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        assert self._server.stdout is not None
        self.base = self._server.stdout.readline().strip()

    def close(self) -> None:
        """End the server."""
        self._server.kill()
        self._server.wait()
        if self._server.stdout:
            self._server.stdout.close()

    def report(self) -> dict[str, Any]:
        """What the server measured since the last call."""
        measured: dict[str, Any] = httpx.get(f"{self.base}/report", timeout=60, trust_env=False).json()
        return measured

    def start(self, journal: str, *, kind: str = "--child") -> subprocess.Popen[str]:
        """One agent process, new or going on."""
        command = [sys.executable, "-m", "benchmarks.agent", kind, "--folder", str(self.folder), "--sha", self.sha]
        command += ["--api-base", f"{self.base}/v1", "--journal", journal]
        return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    def agent(self, journal: str, *, kind: str = "--child") -> dict[str, Any]:
        """One agent process to its end."""
        process = self.start(journal, kind=kind)
        stdout, stderr = process.communicate()
        if process.returncode:
            raise RuntimeError(f"the agent ended with {process.returncode}: {stderr[-2000:]}")
        told: dict[str, Any] = json.loads(stdout.splitlines()[-1])
        return told


def trajectory(folder: Path, steps: int) -> dict[str, Any]:
    """One long run, measured."""
    bench = Bench(folder, steps)
    try:
        told, measured = bench.agent("journal.sqlite"), bench.report()
    finally:
        bench.close()
    gaps = measured["gaps_ms"]
    third = max(len(gaps) // 3, 1)
    print(f"{told['steps']} steps, outcome {told['outcome']}, gap median {median(gaps):.1f} ms", flush=True)
    return {
        "steps": told["steps"],
        "overhead_ms_per_step": round(median(gaps), 2),
        "overhead_p95_ms": round(sorted(gaps)[int(len(gaps) * 0.95)], 2),
        "cpu_ms_per_step": round(told["cpu_ms_per_step"], 2),
        "flatness": round(median(gaps[-third:]) / median(gaps[:third]), 3),
        "peak_rss_mb": round(told["peak_rss_mb"], 1),
        "prefix_shared": round(measured["shared_bytes"] / measured["sent_bytes"], 4),
        "prefix_breaks": measured["prefix_breaks"],
        "first_prompt_kb": round(measured["first_bytes"] / 1024, 1),
        "cost_usd": round(told["cost_usd"], 3),
        "cached_share": round(told["cached_share"], 4),
        "reductions": told["reductions"],
        "recall_ok": measured["recall_ok"],
        "warm_first_request_s": round(measured["first_at"] - told["warm_at"], 2),
    }


def starts(folder: Path) -> dict[str, Any]:
    """From the start of the command line to its first request; the first of two makes the image and does not count."""
    bench = Bench(folder, 2)
    try:
        cold_start(f"{bench.base}/v1", folder / "repository")
        bench.report()
        started = cold_start(f"{bench.base}/v1", folder / "repository")
        seconds = bench.report()["first_at"] - started
    finally:
        bench.close()
    print(f"first request of a cold start after {seconds:.2f} s", flush=True)
    return {"cold_first_request_s": round(seconds, 2)}


def sixteen(folder: Path, steps: int) -> dict[str, Any]:
    """Sixteen runs in one process."""
    bench = Bench(folder, steps, plain=True)
    try:
        return bench.agent("many.sqlite", kind="--many")
    finally:
        bench.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="60 steps and 4 kills instead of 300 and 50")
    parser.add_argument("--serve", type=int, help=argparse.SUPPRESS)
    for name in ("--child", "--many", "--plain"):
        parser.add_argument(name, action="store_true", help=argparse.SUPPRESS)
    for name in ("--folder", "--sha", "--api-base", "--journal"):
        parser.add_argument(name, default="", help=argparse.SUPPRESS)
    parser.add_argument("--only", choices=["long", "kills", "many", "starts"], help="one part instead of all")
    options = parser.parse_args()
    if options.serve:
        serve(options.serve, plain=options.plain)
        return
    if options.child:
        child(options)
        return
    if options.many:
        measured = many(profile(options.api_base), pack_of(options), Path(options.folder), steps=MANY_STEPS)
        sys.stdout.write(json.dumps(measured) + "\n")
        return
    started = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="bench-agent-") as folder:
        root = Path(folder)
        steps = 60 if options.quick else 300
        parts: dict[str, Callable[[], dict[str, Any]]] = {
            "long": lambda: trajectory(root / "long", steps),
            "kills": lambda: kills(Bench(root / "kills", steps), steps, runs=1 if options.quick else 5),
            "many": lambda: sixteen(root / "many", MANY_STEPS),
            "starts": lambda: starts(root / "starts"),
        }
        found: dict[str, Any] = {}
        for name, part in parts.items():
            if options.only in {None, name}:
                found |= part()
    found["seconds"] = round(time.monotonic() - started, 1)
    print(json.dumps(found))


if __name__ == "__main__":
    main()
