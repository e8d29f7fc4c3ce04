"""`coder doctor` and `coder images`: whether a run would have what it needs here, tried with the parts of a run."""

import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Literal

import yaml

from coder.app import Application
from coder.errors import CoderError
from coder.forge.github_access import Access, GitHubAccess
from coder.repo_config import FILES, MAX_BYTES, repo_config
from coder.sandbox.docker_shelf import ImageShelf
from coder.sandbox.protocol import Image, SandboxProvider, TreePack
from coder.settings import Settings, data_folder
from coder.trace.journal import utc_now
from coder.trace.retention import forget_runs
from coder.types import Cell, Remote, RepoRef, Task, TestReport
from coder.verify.cells import run_cell
from coder.verify.commands import TestCommand, test_command
from coder.workspace.checkout import Checkout
from coder.workspace.contents import Contents
from coder.workspace.lfs import lfs_pointers
from coder.workspace.repository import Repository
from coder.workspace.submodules import fetch_submodules

LOG_LINES = 15
MAX_NAMES = 10
LEAST_TIMEOUT_S = 120
TIMEOUT_FACTOR = 5
"""A proposed time-out leaves room for a slow day."""

Mark = Literal["ok", "warning", "failed"]
_MARKS: dict[Mark, str] = {"ok": "✓", "warning": "!", "failed": "✗"}
Say = Callable[[str], None]


@dataclass(slots=True)
class Diagnosis:
    """What was found, said line by line as it is found."""

    say: Say
    healthy: bool = True
    proposal: dict[str, object] = field(default_factory=dict)
    """What `.coder.yml` should say."""

    def note(self, mark: Mark, what: str, text: str) -> None:
        """Say one line; a failed one makes the whole unhealthy."""
        self.healthy = self.healthy and mark != "failed"
        self.say(f"{_MARKS[mark]} {what:<9} {plain(text)}")

    def quote(self, text: str, lines: int = LOG_LINES) -> None:
        """Show the end of a log."""
        for line in text.rstrip().splitlines()[-lines:]:
            self.say(f"    │ {plain(line)[:300]}")


def examine(target: Path | RepoRef, settings: Settings, say: Say) -> bool:
    """Whether a run on a checkout, or on a repository of GitHub, would work: engine, image, setup, tests, twice."""
    found = Diagnosis(say)
    try:
        with ImageShelf(settings.sandbox, data_folder("sandbox_images")) as shelf:
            found.note("ok", "engine", shelf.engine)
    except CoderError as exc:
        found.note("failed", "engine", str(exc))
        return False
    try:
        with Application(settings) as app:
            subject = _checkout(found, app, target) if isinstance(target, Path) else _hub(found, app, target)
            _repository(found, app, subject)
    except CoderError as exc:
        found.note("failed", "doctor", str(exc))
    if found.proposal:
        say("\nproposed for .coder.yml (on the branch that runs work from):\n")
        for line in yaml.safe_dump(found.proposal, sort_keys=False, allow_unicode=True, width=1000).splitlines():
            say(plain(line))
    return found.healthy


def target_of(text: str) -> Path | RepoRef:
    """What was typed: a folder that is there, else `owner/name` on GitHub."""
    match = re.fullmatch(r"([A-Za-z0-9-]{1,39})/([A-Za-z0-9._-]{1,100})", text)
    if match is None or Path(text).exists():
        return Path(text)
    return RepoRef(owner=match[1], name=match[2])


@dataclass(frozen=True, slots=True)
class Subject:
    """The commit that is looked at."""

    repository: Repository
    remote: Remote
    sha: str


def _checkout(found: Diagnosis, app: Application, path: Path) -> Subject:
    checkout = Checkout(path)
    dirty = "; uncommitted changes are left out" if checkout.is_dirty() else ""
    found.note("ok", "checkout", f"{checkout.path} at {checkout.head[:12]}{dirty}")
    repo = RepoRef(owner="local", name=checkout.path.name or "checkout")
    remote = Remote(url=str(checkout.path), local=True)
    return Subject(app.workspace().fetch(remote, repo, checkout.head), remote, checkout.head)


def _hub(found: Diagnosis, app: Application, repo: RepoRef) -> Subject:
    with GitHubAccess(app.settings.github) as github:
        _access(found, repo, github.look(repo))
    forge = app.github()
    task = Task(run_id="doctor", repo=repo, kind="prompt", requested_by="doctor", requested_at=utc_now(), model="none")
    base = forge.base(task)
    remote = forge.remote(task)
    return Subject(app.workspace().fetch(remote, repo, base.sha), remote, base.sha)


def _access(found: Diagnosis, repo: RepoRef, access: Access) -> None:
    """Our rights there, and whether a service would hear of what happens."""
    found.note("ok", "github", f"{repo.full_name} as {access.login}, branch {access.branch}")
    if access.closed:
        found.note("failed", "access", f"nothing can be pushed: {access.closed}")
    elif access.missing:
        found.note("failed", "access", f"runs need what is not granted: {', '.join(access.missing)}")
    else:
        found.note("ok", "access", "what runs need is granted")
    if access.wanting:
        found.note("warning", "access", f"our check and logs of failed jobs need {', '.join(access.wanting)}")
    # Runs that somebody starts by hand need no webhook.
    found.note("warning" if access.unheard else "ok", "webhook", "; ".join((access.webhook, *access.unheard)))


def _repository(found: Diagnosis, app: Application, subject: Subject) -> None:
    repository, sha = subject.repository, subject.sha
    files = Contents(repository, sha)
    config = repo_config(files)
    policy, sandboxes = config.policy(app.settings.policy), app.sandboxes()
    file = next((name for name in FILES if name in files), None)
    found.note("ok", "config", f"{file} is heeded" if file else "no .coder.yml: everything is found out")
    modules = fetch_submodules(app.workspace(), repository, subject.remote, sha)
    for line in modules.missing:
        found.note("warning", "submodule", f"not fetched: {line}")
    if pointers := lfs_pointers(repository, sha):
        text = f"{len(pointers)} files are pointers, their contents are not fetched: {named(pointers)}"
        found.note("warning", "lfs", text)
    pack = repository.pack(sha, depth=policy.history)
    started = time.monotonic()
    image = sandboxes.image_for(
        files,
        pack=pack,
        setup=policy.setup,
        progress=lambda line: found.say(f"  · {plain(line)}"),
        wants=config.wants,
    )
    _setup(found, image, time.monotonic() - started)
    missing = tuple(name for name in services_of(files) if name not in config.services)
    if missing:
        found.note("warning", "services", f"workflows or compose files start {', '.join(missing)}: tests may need them")
        found.proposal["services"] = [*config.services, *missing]
    tests = test_command(files, files.__getitem__, override=policy.test_command)
    if tests is None:
        found.note("failed", "tests", "no way to run them was found: say how in `test:`")
        found.proposal["test"] = "…"
        return
    found.note("ok", "tests", tests.shown)
    if tests.kind == "exit_code":
        text = "only the exit code is known: a run can be `passing`, hardly `proven`; JUnit by {report} tells more"
        found.note("warning", "tests", text)
    _baseline(found, Suite(sandboxes, image, pack, tests, policy.test_timeout_s))


def services_of(files: Mapping[str, bytes]) -> tuple[str, ...]:
    """The servers on offer that the repository's workflows and compose files start."""
    found: dict[str, None] = {}
    for path in files:
        if re.fullmatch(r"\.github/workflows/[^/]+\.ya?ml|(?:docker-)?compose[^/]*\.ya?ml", path):
            text = files[path][:MAX_BYTES].decode("utf-8", "replace")
            for name in re.findall(
                r"(?m)^[ \t]*image:\s*['\"]?(?:[\w.-]+/)*(postgres|mysql|mariadb|redis|valkey)\b", text
            ):
                found[{"mariadb": "mysql", "valkey": "redis"}.get(name, name)] = None
    return tuple(found)


def _setup(found: Diagnosis, image: Image, took_s: float) -> None:
    found.note("ok", "image", f"{image.reference} ({image.digest[7:19]}) after {took_s:.1f} s")
    complaints = [line for line in image.setup_log.splitlines() if line.startswith("! ")]
    if not image.setup_ok:
        found.note("failed", "setup", "the environment is not what the repository asks for; the log ends:")
        found.quote(image.setup_log)
        found.proposal["setup"] = ["…"]
    elif complaints:
        found.note("warning", "setup", "something was left out:")
        found.quote("\n".join(complaints))
    else:
        found.note("ok", "setup", f"{image.setup_log.count('$ ')} commands" if image.setup_log else "none needed")


@dataclass(frozen=True, slots=True)
class Suite:
    """A repository's tests, and where they are run."""

    sandboxes: SandboxProvider
    image: Image
    pack: TreePack
    tests: TestCommand
    timeout_s: float

    def run(self) -> Cell:
        """One run in a container of its own."""
        with self.sandboxes.open(self.image, self.pack, labels={"run": "doctor"}) as sandbox:
            return run_cell(sandbox, "base", "", self.tests, self.timeout_s)


def _baseline(found: Diagnosis, suite: Suite) -> None:
    """Run the tests twice, as they are: what is red, what is not steady."""
    cells = []
    for number in (1, 2):
        cell = suite.run()
        cells.append(cell)
        mark: Mark = "ok" if usable(cell) and cell.exit_code == 0 else "warning" if usable(cell) else "failed"
        found.note(
            mark, f"run {number}", f"{counted(cell.report)}, exit code {cell.exit_code}, {cell.duration_s:.1f} s"
        )
        if not usable(cell):
            found.quote(cell.output_tail)
            return
    first, second = cells[0].report, cells[1].report
    red = sorted({*first.failed, *first.errored} & {*second.failed, *second.errored})
    if red:
        found.note("warning", "red", f"{len(red)} fail without any change: {named(red)}")
    if unsteady := flakes(first, second):
        found.note("warning", "flaky", f"{len(unsteady)} differ between two runs of the same code: {named(unsteady)}")
    needed_s = max(cell.duration_s for cell in cells) * TIMEOUT_FACTOR
    found.proposal["test"] = suite.tests.shown
    if needed_s > suite.timeout_s:
        wanted = max(LEAST_TIMEOUT_S, round(needed_s + 30, -1))
        text = f"{suite.timeout_s:g} s leave little room for a slow day: {wanted:g} would do in coder.toml"
        found.note("warning", "timeout", f"policy.test_timeout_s = {text}")


def usable(cell: Cell) -> bool:
    """Whether a run tells anything: test by test without contradiction, or a green exit code."""
    if cell.report.by_id:
        return cell.report.problem is None and bool(cell.report.passed or cell.report.failed or cell.report.errored)
    return cell.exit_code == 0


def flakes(first: TestReport, second: TestReport) -> tuple[str, ...]:
    """Tests whose outcome differs between two runs."""

    def outcomes(report: TestReport) -> set[tuple[str, str]]:
        groups = {
            "passed": report.passed,
            "failed": report.failed,
            "errored": report.errored,
            "skipped": report.skipped,
        }
        return {(name, outcome) for outcome, names in groups.items() for name in names}

    return tuple(sorted({name for name, _ in outcomes(first) ^ outcomes(second)}))


def counted(report: TestReport) -> str:
    """The outcomes in figures."""
    if not report.by_id:
        return report.problem or "no outcome by test"
    parts = [f"{len(report.passed)} passed"]
    parts += [
        f"{len(names)} {what}"
        for what, names in (("failed", report.failed), ("errors", report.errored), ("skipped", report.skipped))
        if names
    ]
    return ", ".join(parts) + (f" ({report.problem})" if report.problem else "")


def named(tests: list[str] | tuple[str, ...]) -> str:
    """Some names of many."""
    more = f" and {len(tests) - MAX_NAMES} more" if len(tests) > MAX_NAMES else ""
    return ", ".join(tests[:MAX_NAMES]) + more


def plain(text: str) -> str:
    """Without what a terminal would obey: the text may come from a repository's own programs."""
    return re.sub(r"\x1b\[[0-9;?]*[ -/]*[@-~]|[\x00-\x08\x0a-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]", "", text)


def images(action: str, names: list[str], settings: Settings, say: Say, *, days: float, keep_mb: float) -> None:
    """`coder images build|list|gc`.

    Raises:
        CoderError: No engine answers, or an image cannot be built.
    """
    with ImageShelf(settings.sandbox, data_folder("sandbox_images")) as shelf:
        if action == "build":
            for name in names or shelf.names:
                started = time.monotonic()
                image = shelf.build(name, lambda line: say(f"  · {plain(line)}"))
                say(f"{name:<9} {image.reference}  {time.monotonic() - started:.1f} s")
        elif action == "gc":
            gone = shelf.collect(older_than=timedelta(days=days), keep_mb=keep_mb)
            for one in gone:
                say(f"removed {one.reference or one.digest[7:19]}  {one.own_mb:.0f} MiB")
            say(f"{len(gone)} images removed, {sum(one.own_mb for one in gone):.0f} MiB")
        else:
            for one in shelf.stored():
                shown = one.reference or f"(no name) {one.digest[7:19]}"
                say(f"{one.kind:<8} {shown:<44} {one.created:%Y-%m-%d %H:%M}  {one.own_mb:>7.0f} MiB")


def tidy(settings: Settings, say: Say, *, days: float, keep_mb: float, journal_days: float | None) -> None:
    """`coder gc`: old setup images, mirrors and, only when it is asked for, journals of runs.

    Raises:
        CoderError: No engine answers, or something cannot be removed.
    """
    now = datetime.now(UTC)
    with Application(settings) as app:
        gone = app.workspace().collect(older_than=timedelta(days=days), keep_mb=keep_mb, now=now)
        for mirror in gone:
            say(f"removed mirror {mirror.name}  {mirror.size_mb:.0f} MiB")
        say(f"{len(gone)} mirrors removed, {sum(mirror.size_mb for mirror in gone):.0f} MiB")
    if journal_days is not None:
        runs = forget_runs(settings.state_dir / "journal.sqlite", before=now - timedelta(days=journal_days))
        say(f"{runs} runs forgotten")
    images("gc", [], settings, say, days=days, keep_mb=keep_mb)
