"""What the sandbox costs: `python -m benchmarks.sandbox [--quick]`. The last line is one JSON object.

Runner and `exec_run` take turns within each round, so that what else the machine does hits both.
"""

import argparse
import json
import resource
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import docker

from coder.sandbox.config import SandboxSettings
from coder.sandbox.docker_backend import DockerSandbox, DockerSandboxProvider
from coder.sandbox.protocol import TreePack

CERTIFICATES = Path("/etc/ssl/certs/ca-certificates.crt")
FILES = 5000
COMMANDS_PER_TURN = 5
GIB = 1 << 30


def commit_of_many_files(folder: Path, files: int = FILES) -> TreePack:
    """A repository with `files` small files in up to 100 folders."""

    def git(*args: str, data: bytes | None = None) -> bytes:
        identity = ["-c", "user.name=Bench", "-c", "user.email=bench@example.invalid"]
        return subprocess.run(["git", *identity, *args], cwd=folder, check=True, capture_output=True, input=data).stdout

    git("init", "--quiet")
    for number in range(files):
        path = folder / f"package_{number % 100:02}" / f"module_{number:04}.py"
        path.parent.mkdir(exist_ok=True)
        path.write_text(f"# {number}\n" + "".join(f"def f{line}():\n    return {line}\n\n\n" for line in range(20)))
    git("add", "--all")
    git("commit", "--quiet", "-m", "many files")
    sha = git("rev-parse", "HEAD").decode().strip()
    return TreePack(sha, git("pack-objects", "--stdout", "--revs", "--quiet", data=b"HEAD\n"))


def _packed(folder: Path, files: int) -> TreePack:
    folder.mkdir()
    return commit_of_many_files(folder, files)


def seconds(action: Callable[[], object]) -> float:
    started = time.perf_counter()
    action()
    return time.perf_counter() - started


def commands(sandbox: DockerSandbox, api: docker.APIClient, rounds: int) -> dict[str, float]:
    """The median time of `true` both ways."""

    def exec_run() -> None:
        made = api.exec_create(sandbox.container, ["bash", "-c", "true"])
        api.exec_start(made["Id"])
        api.exec_inspect(made["Id"])

    runner_times: list[float] = []
    exec_times: list[float] = []
    for _ in range(rounds):
        runner_times += [seconds(lambda: sandbox.exec("true", timeout_s=30)) for _ in range(COMMANDS_PER_TURN)]
        exec_times += [seconds(exec_run)]
    runner_ms, exec_ms = 1000 * statistics.median(runner_times), 1000 * statistics.median(exec_times)
    print(f"true: runner {runner_ms:.2f} ms, exec_run {exec_ms:.1f} ms, {exec_ms / runner_ms:.1f} times")
    return {"runner_ms": round(runner_ms, 3), "exec_run_ms": round(exec_ms, 2), "ratio": round(exec_ms / runner_ms, 1)}


def limits(sandbox: DockerSandbox) -> dict[str, float | int]:
    """Time-outs, output and what is left of a command."""
    overshoots = [
        seconds(partial(sandbox.exec, command, timeout_s=0.5)) - 0.5
        for command in ("sleep 60", "trap '' TERM; while :; do :; done", "setsid sleep 60 & yes")
    ]
    left = int(sandbox.exec("ps -e --no-headers | grep -vcE 'bash|ps|grep'", timeout_s=30).output) - 1
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    result = sandbox.exec(f"head -c {GIB} /dev/zero", timeout_s=300)
    growth_mb = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
    print(f"time-out overshoot {max(overshoots):.3f} s; {left} processes left; 1 GiB of output: +{growth_mb:.1f} MB")
    if result.output_bytes != GIB:
        raise SystemExit(f"the command printed {result.output_bytes} bytes instead of 1 GiB")
    return {
        "timeout_overshoot_s": round(max(overshoots), 4),
        "left_processes": left,
        "host_growth_mb_for_1gib": round(growth_mb, 2),
    }


def trees(open_sandbox: Callable[[], DockerSandbox], rounds: int) -> dict[str, float]:
    """A work tree of `FILES` files: ready, checkpoint after an edit, roll back of ten changed files."""
    ready, checkpoints, rollbacks = [], [], []
    for _ in range(rounds):
        started = time.perf_counter()
        with open_sandbox() as sandbox:
            ready.append(time.perf_counter() - started)
            sandbox.checkpoint()
            for number in range(10):
                sandbox.write(f"package_{number:02}/module_{number:04}.py", b"changed\n")
                checkpoints.append(seconds(sandbox.checkpoint))
            rollbacks.append(seconds(lambda: sandbox.restore("")))
    values = {
        "workspace_5000_s": round(statistics.median(ready), 3),
        "checkpoint_ms": round(1000 * statistics.median(checkpoints), 1),
        "rollback_ms": round(1000 * statistics.median(rollbacks), 1),
    }
    print(f"{FILES} files: {values}")
    return values


def snapshots(sandbox: DockerSandbox, rounds: int) -> dict[str, float]:
    """What each call that may change the work tree costs beside itself: nothing changed, and one file changed."""
    snapshot = sandbox.snapshot("")
    tree = snapshot.tree_sha if snapshot else ""
    same, changed = [], []
    for number in range(rounds):
        same.append(seconds(partial(sandbox.snapshot, tree)))
        sandbox.write("package_00/module_0000.py", f"# {number}\n".encode())
        started = time.perf_counter()
        snapshot = sandbox.snapshot(tree)
        changed.append(time.perf_counter() - started)
        tree = snapshot.tree_sha if snapshot else tree
    values = {
        "snapshot_same_ms": round(1000 * statistics.median(same), 1),
        "snapshot_changed_ms": round(1000 * statistics.median(changed), 1),
    }
    print(f"small repository: {values}")
    return values


def openings(cold: DockerSandboxProvider, warm: DockerSandboxProvider, pack: TreePack, rounds: int) -> dict[str, float]:
    """A sandbox of a small repository, started then and started in advance, in turns."""
    image = cold.image_for({}, pack=pack, setup=None, progress=print)
    times: dict[str, list[float]] = {"cold": [], "warm": []}
    warm.open(image, pack, labels={"run": "benchmark"}).close()
    for _ in range(rounds):
        for name, provider in (("cold", cold), ("warm", warm)):
            # What a run does before it needs the next one takes far longer than filling the pool.
            time.sleep(2)
            started = time.perf_counter()
            sandbox = provider.open(image, pack, labels={"run": "benchmark"})
            times[name].append(time.perf_counter() - started)
            sandbox.close()
    values = {f"open_{name}_s": round(statistics.median(found), 3) for name, found in times.items()}
    print(f"opening: {values}")
    return values


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="fewer rounds")
    quick = parser.parse_args().quick
    bundle = str(CERTIFICATES) if CERTIFICATES.exists() else None
    settings = SandboxSettings(installation="benchmark", ca_bundle=bundle)
    with tempfile.TemporaryDirectory() as folder, DockerSandboxProvider(settings) as provider:
        pack, small = (_packed(Path(folder) / str(files), files) for files in (FILES, 50))
        image = provider.image_for({}, pack=pack, setup=None, progress=print)
        api = docker.APIClient(version="auto")
        try:
            with provider.open(image, small, labels={"run": "benchmark"}) as sandbox:
                figures: dict[str, float] = {**commands(sandbox, api, 20 if quick else 100), **limits(sandbox)}
                figures |= snapshots(sandbox, 20 if quick else 100)
        finally:
            api.close()
        with DockerSandboxProvider(settings.model_copy(update={"prewarm": 1})) as warm:
            figures |= openings(provider, warm, small, 2 if quick else 8)
        figures |= trees(lambda: provider.open(image, pack, labels={"run": "benchmark"}), 3 if quick else 10)
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
