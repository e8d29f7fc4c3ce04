"""How true and how dear a verdict is: small repositories with known truth, judged in real containers.

`python -m benchmarks.verdicts [--quick] [--backend docker|local]`. The last line is one JSON object.
"""

import argparse
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from benchmarks.verdict_cases import CASES, GREEN, HONEST, LIES, Case
from benchmarks.verdict_stage import staged
from coder.sandbox.config import SandboxSettings
from coder.sandbox.docker_backend import DockerSandboxProvider
from coder.sandbox.local import LocalSandboxProvider
from coder.sandbox.protocol import Image, SandboxProvider, TreePack
from coder.types import Verdict
from coder.verify import commands
from coder.verify.verifier import CellVerifier

_CERTIFICATES = Path("/etc/ssl/certs/ca-certificates.crt")
_QUICK = (*HONEST[:1], *HONEST[5:6], *HONEST[8:9], *LIES[:1], *LIES[11:12], *LIES[16:17])


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
def _backend(name: str) -> Iterator[tuple[SandboxProvider, Image]]:
    """Where the tests run; the image is built before anything is timed."""
    certificates = str(_CERTIFICATES) if _CERTIFICATES.exists() else None
    nothing = TreePack("", b"")
    if name == "docker":
        with DockerSandboxProvider(SandboxSettings(installation="benchmarks", ca_bundle=certificates)) as provider:
            yield provider, provider.image_for({"a.py": b""}, pack=nothing, setup=None, progress=print)
        return
    path = f"{Path(sys.executable).parent}:/usr/local/bin:/usr/bin:/bin"
    local = LocalSandboxProvider(SandboxSettings(), env={"PATH": path, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"})
    yield local, local.image_for({}, pack=nothing, setup=None, progress=print)


def judge(case: Case, sandboxes: SandboxProvider, image: Image) -> Judged:
    """Set the case up and have it judged as a run would."""
    with tempfile.TemporaryDirectory(prefix="coder-verdicts-") as folder:
        stage = staged(case, Path(folder))
        base = stage.patch.base_sha
        tests = commands.test_command(stage.repository.files(base), lambda path: stage.repository.read(base, path))
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
    options = parser.parse_args()
    judged = []
    with _backend(options.backend) as (sandboxes, image):
        for case in _QUICK if options.quick else CASES:
            one = judge(case, sandboxes, image)
            judged.append(one)
            mark = "ok   " if one.verdict.kind in case.allowed else "WRONG"
            reason = one.verdict.reasons[0] if one.verdict.reasons else ""
            print(f"{mark} {one.seconds:6.1f} s  {one.verdict.kind:<10} {case.name}: {reason[:110]}", flush=True)
    result = figures(judged, options.backend)
    print(json.dumps(result))
    return 1 if result["wrong"] else 0


if __name__ == "__main__":
    sys.exit(main())
