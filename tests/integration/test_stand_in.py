"""Label, pull request, review, push on a GitHub where every single write goes wrong once: nothing is doubled, nothing lost.

The whole service in one process (signed deliveries, store, desk, worker, runs), as a GitHub App; only model and sandbox are
played. The review comes with three comments on lines, as GitHub sends it: a delivery for each.
"""

import json
import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from coder.app import carried_out
from coder.codemap.map import CodeMap
from coder.model.scripted import ScriptedModel, Turn
from coder.policy import Policy
from coder.sandbox.local import LocalSandboxProvider
from coder.services import Services
from coder.trace.journal import JournalStore
from coder.types import Followup, JsonObject, Task
from coder.workspace.workspace import Workspace
from tests.contract.sandbox_support import settings as sandbox_settings
from tests.e2e.stage import Stage
from tests.integration.line_support import FILES, does, writes
from tests.servers.github import Fault
from tests.servers.github_git import git
from tests.servers.github_state import Pull
from tests.values import scripted_profile

LIMIT = "You have exceeded a secondary rate limit. Please wait a few minutes before you try again."
WRITES = "POST|PATCH|PUT|DELETE"


def hands_in(title: str) -> tuple[Turn, Turn]:
    """A last look, and the word that this is it."""
    return does("submit", title=title, summary="So."), does("submit", title=title, summary="So.", confirm=True)


SCRIPTS: dict[str, Sequence[Turn]] = {
    "run": [writes("1 1 2\\n"), *hands_in("Add what is lost")],
    "review": [writes("1 1 3\\n"), *hands_in("Three")],
}


class StandIn(Stage):
    """The stage with runs that are really carried out."""

    def __init__(self, folder: Path, codemap: CodeMap, journals: JournalStore) -> None:
        self.models = {name: ScriptedModel(scripted_profile(), turns) for name, turns in SCRIPTS.items()}
        super().__init__(folder, runner=self._carry_out, files=FILES, app=True)
        self.services = Services(
            forge=self.forge,
            model=lambda _: ScriptedModel(scripted_profile(), []),
            sandboxes=LocalSandboxProvider(sandbox_settings()),
            workspace=Workspace(folder / "mirrors", http_hosts=frozenset({self.github.host})),
            codemap=codemap,
            journals=journals,
            policy=Policy(test_command="sh check.sh", max_rounds=1, baseline_s=0),
            redact=str,
            redact_fully=str,
            answerable=True,
        )

    def _carry_out(self, task: Task, followup: Followup | None, _heard: object) -> JsonObject:
        model = self.models["run" if followup is None else followup.kind]
        return carried_out(task, followup, replace(self.services, model=lambda _: model))

    def review(self, pull: Pull) -> None:
        """A maintainer asks for changes, with three comments on lines."""
        remarks = [("shares.txt", "three"), ("shares.txt", "not two"), ("README.md", "say so")]
        for name, payload in self.github.reviewed(self.repo, pull, author="ann", body="Almost", remarks=remarks):
            self.event(name, payload)

    def pulls(self) -> list[Pull]:
        return list(self.repo.pulls.values())

    def commits(self) -> list[str]:
        """What the one branch of ours has on top of base."""
        (branch,) = [pull.head for pull in self.pulls()]
        return git("rev-list", branch, "^main", cwd=self.repo.folder).decode().split()


@contextmanager
def standing_in(folder: Path) -> Iterator[StandIn]:
    journals = JournalStore(folder / "journal.sqlite")
    with CodeMap(folder / "codemap.sqlite") as codemap, StandIn(folder, codemap, journals) as stand_in:
        yield stand_in
    journals.close()


def fault(kind: str, *, method: str = WRITES, status: int = 500, message: str = "Server Error") -> Fault:
    """What goes wrong once for each route."""
    headers = {"Retry-After": "0"} if message == LIMIT else {}
    # What fetches is a POST, too. And a push whose answer is half of one, and says it is whole, hangs in git.
    path = r"^(?!.*git-)" if kind == "garbled" else r"^(?!.*git-upload-pack)"
    return Fault(kind, method, path, each=True, status=status, message=message, headers=headers, delay_s=0.05)


FAULTS: dict[str, Callable[[], list[Fault]]] = {
    # The second one strikes when the first one was seen to.
    "done, and not told": lambda: [fault("drop_after"), fault("status_after", status=502)],
    "not done": lambda: [fault("drop_before"), fault("status", status=502)],
    "limits": lambda: [fault("status", status=403, message=LIMIT), fault("status", status=429, message=LIMIT)],
    "the token is over": lambda: [fault("status", status=401, message="Bad credentials"), fault("slow")],
    "broken answers": lambda: [fault("cut"), fault("garbled")],
    "broken reads": lambda: [fault("cut", method="GET")],
    "404": lambda: [fault("status", status=404, message="Not Found")],
    "422": lambda: [fault("status", status=422, message="Validation Failed")],
}


@pytest.mark.parametrize("name", FAULTS)
def test_whatever_goes_wrong_once_everywhere_nothing_is_doubled_and_nothing_lost(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, name: str
) -> None:
    caplog.set_level(logging.INFO)
    with standing_in(tmp_path) as github:
        github.github.faults += FAULTS[name]()
        github.label()
        github.settle()
        github.desk.watch()
        (pull,) = github.pulls()
        github.review(pull)
        github.settle()
        github.desk.watch()
        github.settle()

        told_once(github, pull)
        # What GitHub refuses for good is done without: the first check, and the first reply.
        checks = [one.head_sha for one in github.repo.checks]
        asked = [one.id for one in pull.review_comments if one.in_reply_to is None]
        answered = [one.in_reply_to for one in pull.review_comments if one.in_reply_to is not None]
        assert checks == list(reversed(github.commits()))[name == "404" :]
        assert answered == asked[name in {"404", "422"} :]
        nothing_leaked(github, caplog)


def told_once(github: StandIn, pull: Pull) -> None:
    """What must hold at the end, however it came about."""
    second, first = github.commits()
    assert github.repo.branch(pull.head) == second
    assert git("show", f"{pull.head}:shares.txt", cwd=github.repo.folder) == b"1 1 3\n"
    assert "Fixes #1" in pull.body or "Refs #1" in pull.body
    assert len(github.answers()) == 1
    assert "Working on it" not in github.answers()[0]
    assert [label for label in github.issue.labels if label.startswith("coder")] == ["coder:pr-open"]
    assert sorted({content for _, content in github.issue.reactions}) == ["eyes", "hooray"]
    (answer,) = github.answers(github.repo.issues[pull.number])
    assert second in answer
    assert first not in answer
    assert [job.state for job in github.engine.list(limit=9)] == ["done", "done"]


def nothing_leaked(github: StandIn, log: pytest.LogCaptureFixture) -> None:
    """No token that GitHub ever gave, and no key, in what was sent or logged."""
    sent = json.dumps([[made.path, dict(made.query), made.body] for made in github.github.requests])
    written = "".join(str(vars(record)) + record.getMessage() for record in log.records)
    key = github.connection.private_key
    assert key is not None
    for secret in (*github.github.state.tokens, *key.get_secret_value().splitlines()[1:-1]):
        assert secret not in sent
        assert secret not in written
