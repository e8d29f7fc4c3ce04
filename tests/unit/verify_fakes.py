"""Scripted sandboxes and trees by name, for what judges patches."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Self

from typing_extensions import override

from coder.errors import SandboxError
from coder.sandbox.protocol import NOTHING, Background, Image, Sandbox, SandboxProvider, Snapshot, TreePack, Wants
from coder.types import ExecResult
from coder.verify.runs import TreeEntry, Trees

IMAGE = Image(reference="i", digest="sha256:1")


@dataclass(frozen=True)
class Run:
    """What a run of the tests gives: outcomes of tests, or an exit code without a report."""

    outcomes: Mapping[str, str] = field(default_factory=dict)
    exit_code: int | None = None
    dies: bool = False
    lost: bool = False
    """The sandbox does not even carry out a trivial command."""
    killed: bool = False
    canary: str = "failure"
    took_s: float = 0.5
    output: str = "out"

    def xml(self, canary: str | None) -> bytes:
        outcomes = dict(self.outcomes) | ({canary: self.canary} if canary else {})
        cases = ""
        for name, end in outcomes.items():
            module = name if name == canary else "t"
            inner = "" if end == "pass" else f"<{end}/>"
            if end != "absent":
                cases += f'<testcase file="{module}.py" classname="{module}" name="{name}">{inner}</testcase>'
        return f"<testsuites><testsuite>{cases}</testsuite></testsuites>".encode()


@dataclass
class Entry:
    blob_sha: str


class FakeTrees(Trees):
    """Trees by name; each commit is its tree."""

    def __init__(self, files: Mapping[str, Mapping[str, bytes]]) -> None:
        self._files = files
        self.opened: list[str] = []

    @override
    def files(self, tree_ish: str) -> Mapping[str, TreeEntry]:
        return {path: Entry("b") for path in self._files.get(tree_ish, {})}

    @override
    def read(self, tree_ish: str, path: str) -> bytes:
        return self._files[tree_ish][path]

    @override
    def tree_sha(self, commit_sha: str) -> str:
        return f"{commit_sha}-tree"

    @override
    def overlay(self, tree_sha: str, *, source_tree: str, paths: Sequence[str]) -> str:
        return f"{tree_sha}+{source_tree}"

    @override
    def commit_tree(
        self,
        tree_sha: str,
        *,
        parents: Sequence[str],
        message: str,
        author_name: str,
        author_email: str,
        timestamp: int,
    ) -> str:
        return tree_sha

    @override
    def pack(self, commit_sha: str, *, depth: int) -> TreePack:
        self.opened.append(commit_sha)
        return TreePack(commit_sha, b"")


class FakeSandbox(Sandbox):
    """Answers runs of the tests with the given ones, the last of them from then on."""

    def __init__(self, runs: Sequence[Run], closed: Callable[[], None], commands: list[str]) -> None:
        self._runs, self._closed, self._commands = list(runs), closed, commands
        self._run = self._runs[0]
        self._canary: str | None = None

    @property
    @override
    def image(self) -> Image:
        return IMAGE

    @override
    def exec(
        self, command: str, *, timeout_s: float, cwd: str = ".", env: Mapping[str, str] | None = None
    ) -> ExecResult:
        self._commands.append(command)
        if self._runs[0].lost:
            raise SandboxError("the container ended")
        if command.startswith("rm "):
            return ExecResult(exit_code=0, output="", duration_s=0)
        if self._runs[0].dies:
            raise SandboxError("the container is gone")
        self._run = self._runs.pop(0) if len(self._runs) > 1 else self._runs[0]
        red = {"failure", "error"} & {*self._run.outcomes.values(), *([self._run.canary] if self._canary else [])}
        if self._run.killed or self._run.took_s > timeout_s:
            return ExecResult(exit_code=None, output="", duration_s=min(self._run.took_s, timeout_s))
        code = self._run.exit_code if self._run.exit_code is not None else int(bool(red))
        return ExecResult(exit_code=code, output=self._run.output, duration_s=self._run.took_s)

    @override
    def read(self, path: str, *, max_bytes: int = 4_000_000) -> bytes:
        if not self._run.outcomes:
            raise FileNotFoundError(path)
        return self._run.xml(self._canary)

    @override
    def write(self, path: str, data: bytes) -> None:
        self._commands.append(f"write {path}")
        if path.startswith("test_") and "/" not in path:
            self._canary = path.removesuffix(".py")

    @override
    def list_files(self) -> tuple[str, ...]:
        return ()

    @override
    def checkpoint(self) -> str:
        return ""

    @property
    @override
    def background(self) -> Background:
        raise NotImplementedError

    @override
    def snapshot(self, known_tree: str) -> Snapshot | None:
        raise NotImplementedError

    @override
    def diff(self) -> str:
        return ""

    @override
    def restore(self, diff: str) -> None: ...

    @override
    def close(self) -> None:
        self._closed()

    @override
    def __enter__(self) -> Self:
        return self

    @override
    def __exit__(self, *exc: object) -> None:
        self.close()


class FakeSandboxes(SandboxProvider):
    """Gives sandboxes by script, and insists that one is closed before the next opens."""

    def __init__(self, runs: Sequence[Run | Sequence[Run]]) -> None:
        self.left = [(run,) if isinstance(run, Run) else run for run in runs]
        self.commands: list[str] = []
        """What was run and written, in order."""
        self._open = 0

    @override
    def image_for(
        self,
        files: Mapping[str, bytes],
        *,
        pack: TreePack,
        setup: tuple[str, ...] | None,
        progress: Callable[[str], None],
        wants: Wants = NOTHING,
    ) -> Image:
        return IMAGE

    @override
    def open(self, image: Image, pack: TreePack, *, labels: Mapping[str, str]) -> Sandbox:
        assert self._open == 0
        assert labels == {"coder.run": "r"}
        self._open += 1
        return FakeSandbox(self.left.pop(0), self._close, self.commands)

    @override
    def sweep(self, *, run_id: str | None = None) -> int:
        return 0

    def _close(self) -> None:
        self._open -= 1
