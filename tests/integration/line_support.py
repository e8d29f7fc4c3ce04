"""A whole line with a forge in memory, scripted answers, no container, and tests that take no time."""

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from coder.codemap.map import CodeMap
from coder.forge.memory import InMemoryForge, MemoryIssue
from coder.memory.store import MemoryStore
from coder.model.scripted import ScriptedModel, Turn
from coder.policy import Policy
from coder.run import resolve
from coder.sandbox.local import LocalSandboxProvider
from coder.services import Services
from coder.trace.events import Entry, Event
from coder.trace.journal import JournalStore
from coder.types import Followup, Limits, Message, Note, Remote, RepoRef, RunResult, Task, ToolCall
from coder.workspace.workspace import Workspace
from tests.contract.sandbox_support import git, settings
from tests.values import scripted_profile

FILES = {"shares.txt": "1 1 1\n", "check.sh": "grep -q 1 shares.txt\n", "README.md": "Shares\n"}


class Killed(BaseException):
    """The process dies."""


@dataclass
class Line:
    """A repository with an issue, and everything that a run needs."""

    folder: Path
    forge: InMemoryForge
    journals: JournalStore
    codemap: CodeMap
    policy: Policy = field(default_factory=lambda: Policy(test_command="sh check.sh", max_rounds=1))
    mode: str = "fix"
    more: dict[str, object] = field(default_factory=dict)
    """Of the task."""
    limits: Limits = field(default_factory=Limits)
    memory: MemoryStore | None = None
    answerable: bool = False
    model: ScriptedModel = field(default_factory=lambda: ScriptedModel(scripted_profile(), []))

    def run(
        self, turns: Sequence[Turn], followup: Followup | None = None, *, dies_after: int | None = None
    ) -> RunResult:
        """One call of `resolve`, with these answers of the model; it is killed once the journal has so many lines."""
        self.model = ScriptedModel(scripted_profile(), turns)

        def die(entry: Entry) -> None:
            if dies_after is not None and entry.seq >= dies_after:
                raise Killed

        services = Services(
            forge=self.forge,
            model=lambda _: self.model,
            sandboxes=LocalSandboxProvider(settings()),
            workspace=Workspace(self.folder / "mirrors"),
            codemap=self.codemap,
            journals=self.journals,
            policy=self.policy,
            redact=str,
            redact_fully=str,
            listeners=(die,),
            memory=self.memory,
            answerable=self.answerable,
        )
        return resolve(self.task, services, followup)

    @property
    def task(self) -> Task:
        return Task.model_validate(
            {
                "run_id": "run-1",
                "repo": RepoRef(owner="octo", name="shares"),
                "kind": "issue",
                "number": 1,
                "requested_by": "ann",
                "requested_at": "2026-01-02T00:00:00Z",
                "mode": self.mode,
                "model": "scripted",
                "limits": self.limits,
                **self.more,
            }
        )

    @property
    def repository(self) -> Path:
        return self.folder / "shares"

    @property
    def events(self) -> Sequence[Event]:
        return self.journals.open("run-1").events

    def git(self, *args: str) -> str:
        """What git prints in the repository."""
        return git(self.repository, *args).decode().strip()

    def branches(self) -> list[str]:
        names = self.git("for-each-ref", "--format=%(refname:short)", "refs/heads").split()
        return [name for name in names if name != "main"]

    def log(self) -> list[str]:
        """Commits of the one branch of ours that base has not, newest first, by id."""
        (branch,) = self.branches()
        return self.git("rev-list", branch, "^main").split()

    def push(self, files: dict[str, str], *, subject: str = "Mine", author: str = "Bob") -> str:
        """A commit of somebody else on our branch."""
        (branch,) = self.branches()
        self.git("worktree", "add", "--quiet", str(self.folder / "theirs"), branch)
        theirs = self.folder / "theirs"
        for name, text in files.items():
            (theirs / name).write_text(text)
        git(theirs, "add", "--all")
        git(
            theirs,
            "-c",
            f"user.name={author}",
            "commit",
            "--quiet",
            "-m",
            subject,
            "--author",
            f"{author} <b@example.org>",
        )
        self.git("worktree", "remove", str(theirs))
        return self.git("rev-parse", branch)


@contextmanager
def lined_up(folder: Path, files: dict[str, str] | None = None) -> Iterator[Line]:
    """A line whose repository has `files`."""
    repository = folder / "shares"
    repository.mkdir()
    for name, text in (files or FILES).items():
        (repository / name).write_text(text)
    git(repository, "init", "--quiet", "--initial-branch=main")
    git(repository, "add", "--all")
    git(repository, "commit", "--quiet", "-m", "Start")
    head = git(repository, "rev-parse", "HEAD").decode().strip()
    forge = InMemoryForge(
        issues=(MemoryIssue(number=1, title="Shares do not add up", body="One is lost.", author="ann"),),
        writers=frozenset({"ann", "bob"}),
        branches={"main": head},
        remote=Remote(url=str(repository), local=True),
    )
    journals = JournalStore(folder / "journal.sqlite")
    with CodeMap(folder / "codemap.sqlite") as codemap:
        yield Line(folder, forge, journals, codemap)
    journals.close()


def does(name: str, **arguments: object) -> Message:
    """An answer with one tool call."""
    call = ToolCall(id="c", name=name, arguments=json.dumps(arguments))
    return Message(role="assistant", tool_calls=(call,))


def submits(title: str = "Add a share", summary: str = "Because.") -> tuple[Message, Message]:
    """Two answers that hand in: the last look, and the word that it is this."""
    return (
        does("submit", title=title, summary=summary),
        does("submit", title=title, summary=summary, confirm=True),
    )


def writes(text: str, path: str = "shares.txt") -> Message:
    """An answer that writes a file, by a command."""
    return does("run", command=f"printf '{text}' > {path}")


def said(kind: str, text: str = "please", *, by: str = "ann", key: str = "comment-1", **more: object) -> Followup:
    """What a person adds."""
    return Followup.model_validate({"id": key, "kind": kind, "note": Note(author=by, body=text), **more})
