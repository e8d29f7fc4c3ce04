"""How true and how dear a verdict is: small repositories with known truth, judged in real containers.

`python -m benchmarks.verdicts [--quick] [--only WORDS] [--backend docker|local]`. The last line is one JSON object.
"""

import argparse
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from benchmarks.verdict_cases import CASES, GREEN, HONEST, LIES, Case
from benchmarks.verdict_installed import INSTALLED
from benchmarks.verdict_languages import GO, NODE
from benchmarks.verdict_lies import MORE, OUT_OF_SIGHT, UNLUCKY
from benchmarks.verdict_runners import RUNNERS
from benchmarks.verdict_ruses import BY_NODE, ELSEWHERE, NEW_MODULE, RUSES
from benchmarks.verdict_stage import staged
from coder.sandbox.config import SandboxSettings
from coder.sandbox.docker_backend import DockerSandboxProvider
from coder.sandbox.local import LocalSandboxProvider
from coder.sandbox.protocol import SandboxProvider, TreePack, Wants
from coder.types import Verdict
from coder.verify import commands
from coder.verify.verifier import CellVerifier

_CERTIFICATES = Path("/etc/ssl/certs/ca-certificates.crt")
_QUICK = (*HONEST[:1], *HONEST[5:6], *HONEST[8:9], *LIES[:1], *LIES[11:12], *LIES[16:17])

ALL = (*CASES, *MORE, *UNLUCKY, *OUT_OF_SIGHT, *GO, *NODE, *RUSES, *RUNNERS, *INSTALLED)
_LOCAL = (*CASES, *(case for case in RUSES if case not in (*ELSEWHERE, *BY_NODE, NEW_MODULE)))
"""What needs no more than this machine's Python."""


@dataclass(frozen=True, slots=True)
class Judged:
    """What came of one case."""

    case: Case
    verdict: Verdict
    seconds: float
    suite_seconds: float | None
    """One run of the tests on base alone, container not counted; None when nothing was run."""
    proving: int


@contextmanager
def _backend(name: str) -> Iterator[SandboxProvider]:
    """Where the tests run."""
    certificates = str(_CERTIFICATES) if _CERTIFICATES.exists() else None
    if name == "docker":
        # Compilers need room: the go tool chain fills some 200 MB of cache.
        settings = SandboxSettings(
            installation="benchmarks", ca_bundle=certificates, memory_mb=2048, workspace_mb=256, tmp_mb=768
        )
        with DockerSandboxProvider(settings) as provider:
            yield provider
        return
    path = f"{Path(sys.executable).parent}:/usr/local/bin:/usr/bin:/bin"
    yield LocalSandboxProvider(SandboxSettings(), env={"PATH": path, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"})


def judge(case: Case, sandboxes: SandboxProvider) -> Judged:
    """Set the case up and have it judged as a run would; the image is there before anything is timed."""
    files = {path: text.encode() for path, text in case.before.items()}
    pack = TreePack("", b"")
    with tempfile.TemporaryDirectory(prefix="coder-verdicts-") as folder:
        if case.setup:
            bare = staged(replace(case, patch={}, commands=""), Path(folder) / "setup")
            pack = bare.repository.pack(bare.patch.base_sha)
        setup, wants = None if case.setup else (), Wants(images=case.images, packages=case.packages)
        image = sandboxes.image_for(files, pack=pack, setup=setup, progress=_nothing, wants=wants)
        stage = staged(case, Path(folder) / "case", (sandboxes, image))
        base = stage.patch.base_sha
        tests = commands.test_command(
            stage.repository.files(base), lambda path: stage.repository.read(base, path), override=case.command
        )
        verifier = CellVerifier(
            stage.repository, sandboxes, tests=tests, timeout_s=case.timeout_s, labels={"run": "verdicts"}
        )
        begun = time.monotonic()
        found = verifier.verify(stage.patch, image=image, round=1)
        seconds = time.monotonic() - begun
    cells = found.evidence.cells
    return Judged(
        case, found.verdict, seconds, cells[0].duration_s if cells else None, len(found.evidence.proving_tests)
    )


def _nothing(_: str) -> None:
    pass


def figures(judged: Sequence[Judged], backend: str) -> dict[str, object]:
    """The last line."""
    run = [one for one in judged if one.suite_seconds]
    ratios = [one.seconds / one.suite_seconds for one in run if one.suite_seconds]
    return {
        "cases": len(judged),
        "backend": backend,
        "false_proven": sum(one.verdict.kind == "proven" and "proven" not in one.case.allowed for one in judged),
        "false_green": sum(one.verdict.kind in GREEN and not one.case.allowed & GREEN for one in judged),
        "false_regressed": sum(
            one.verdict.kind == "regressed" and "regressed" not in one.case.allowed for one in judged
        ),
        "wrong": [one.case.name for one in judged if one.verdict.kind not in one.case.allowed],
        "integrity_false_alarms": sum(
            not one.case.lie and any("not called proven" in reason for reason in one.verdict.reasons) for one in judged
        ),
        "overhead_ratio": round(statistics.median(ratios), 2) if ratios else None,
        "verdict_s": round(statistics.median(one.seconds for one in run), 2) if run else None,
        "suite_s": round(statistics.median(one.suite_seconds or 0.0 for one in run), 2) if run else None,
    }


def main() -> int:
    """Judge the cases and print what came of each."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="six cases only")
    parser.add_argument("--backend", choices=("docker", "local"), default="docker")
    parser.add_argument("--only", metavar="WORDS", default="", help="cases whose name has these words")
    options = parser.parse_args()
    judged = []
    everything = _LOCAL if options.backend == "local" else ALL
    with _backend(options.backend) as sandboxes:
        for case in _QUICK if options.quick else [one for one in everything if options.only in one.name]:
            one = judge(case, sandboxes)
            judged.append(one)
            mark = "ok   " if one.verdict.kind in case.allowed else "WRONG"
            reason = one.verdict.reasons[0] if one.verdict.reasons else ""
            print(f"{mark} {one.seconds:6.1f} s  {one.verdict.kind:<10} {case.name}: {reason[:110]}", flush=True)
    result = figures(judged, options.backend)
    print(json.dumps(result))
    return 1 if result["wrong"] else 0


if __name__ == "__main__":
    sys.exit(main())
