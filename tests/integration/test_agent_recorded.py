"""A recorded run of 300 steps on a repository of real size, played by the real runner, git and tools; then played again."""

import json
from collections.abc import Mapping, Sequence
from contextlib import closing
from pathlib import Path

import pytest

from coder.agent.loop import Agent
from coder.codemap.syntax import SyntaxChecker
from coder.model.protocol import ModelClient
from coder.model.recorded import RecordedModel
from coder.model.scripted import ScriptedModel
from coder.sandbox.protocol import Sandbox
from coder.tools.base import Toolbox
from coder.tools.edit import EditTool
from coder.tools.files import List, Read, Search
from coder.tools.plan import Plan, Submit
from coder.tools.recall import RecallTool
from coder.tools.run import Run
from coder.trace.events import Answered, Event, Opened, Summarised, ToolFinished
from coder.trace.journal import JournalStore
from coder.trace.recall import Recall
from coder.trace.state import conversation
from coder.types import Limits, Message
from tests.contract.sandbox_support import committed, local_backend
from tests.unit.agent_values import SUMMARY_ASKED, calls, is_whole, steps_done
from tests.values import scripted_profile

STEPS = 300
PACKAGES, MODULES = 12, 30


def sample() -> dict[str, bytes]:
    """A package tree of 360 modules with functions that call each other, and a test for each package."""
    files: dict[str, bytes] = {"pyproject.toml": b'[project]\nname = "sample"\nversion = "1"\n'}
    for package in range(PACKAGES):
        for module in range(MODULES):
            functions = (
                f'def f{n}(value: int) -> int:\n    """Add {n} in {package}.{module}."""\n    return value + {n}\n\n\n'
                for n in range(25)
            )
            files[f"sample/p{package}/m{module}.py"] = "".join(functions).encode()
        files[f"tests/test_p{package}.py"] = f"from sample.p{package}.m0 import f1\n".encode()
    return files


def path_of(step: int) -> str:
    return f"sample/p{step % PACKAGES}/m{step % MODULES}.py"


def recorded(step: int) -> Message:
    """The model's answer at `step`, from 1: look, search, edit in two places, run, plan."""
    path, word = path_of(step), f"f{step % 25}"
    if step == STEPS:
        return calls(step, ("submit", {"title": "t", "summary": "s", "confirm": True}))
    edits = [
        {
            "old": 'def f1(value: int) -> int:\n    """Add 1 in',
            "new": f'# {step}\ndef f1(value: int) -> int:\n    """Add 1 in',
        },
        {"after_line": 0, "new": f"# step {step}"},
    ]
    choices: list[list[tuple[str, Mapping[str, object]]]] = [
        [("read", {"path": path, "lines": 80}), ("list", {"pattern": f"sample/p{step % PACKAGES}/*.py"})],
        [("search", {"pattern": rf"def {word}\b", "path": f"sample/p{step % PACKAGES}"})],
        [("edit", {"path": path, "edits": edits})],
        [("run", {"command": f"head -c 2500 {path}; echo {step} > notes.log"})],
        [("plan", {"items": [{"text": f"step {step}", "status": "doing"}]})],
        [("read", {"path": path, "start": 60, "lines": 90})],
    ]
    return calls(step, *choices[step % 6])


def expected(files: Mapping[str, bytes]) -> dict[str, bytes]:
    """What the edits of the recording make of the files, worked out without any tool."""
    after = dict(files)
    for step in range(1, STEPS):
        if step % 6 == 2:
            text = after[path_of(step)].decode()
            at = text.index('def f1(value: int) -> int:\n    """Add 1 in')
            after[path_of(step)] = f"# step {step}\n{text[:at]}# {step}\n{text[at:]}".encode()
    return after


def play(model: ModelClient, sandbox: Sandbox, store: JournalStore, name: str) -> tuple[Event, ...]:
    """The whole run with `model` as a new one called `name`; its journal."""
    journal = store.open(name)
    with closing(SyntaxChecker()) as syntax, closing(Recall(journal)) as recall:
        tools = Toolbox(
            [
                EditTool(sandbox, syntax),
                List(sandbox),
                Plan(),
                Read(sandbox),
                RecallTool(recall),
                Run(sandbox),
                Search(sandbox),
                Submit(sandbox),
            ]
        )
        opening = (Message(role="system", content="work"), Message(role="user", content="fix it"))
        journal.append(Opened(messages=opening, tools=tools.specs))
        limits = Limits(max_steps=1_000, max_cost_usd=100)
        outcome = Agent(model=model, toolbox=tools, sandbox=sandbox, journal=journal, limits=limits).solve()
    assert outcome.kind == "submitted"
    return journal.events


def answer(messages: Sequence[Message]) -> Message:
    if (messages[-1].content or "").startswith(SUMMARY_ASKED):
        return Message(role="assistant", content=f"Goal: go on. {json.dumps('fact')}")
    return recorded(steps_done(messages) + 1)


@pytest.mark.timeout(300)
def test_three_hundred_recorded_steps_on_a_real_work_tree_and_again_from_their_journal(tmp_path: Path) -> None:
    files = sample()
    (tmp_path / "repository").mkdir()
    pack = committed(tmp_path / "repository", files)
    store = JournalStore(tmp_path / "journal.sqlite")
    wanted = expected(files)

    with local_backend() as (provider, image):
        with provider.open(image, pack, labels={}) as sandbox:
            model = ScriptedModel(scripted_profile(), [answer] * (STEPS + 50))
            first = play(model, sandbox, store, "first")
            stands = {path: sandbox.read(path) for path in files}
            tree = sandbox.checkpoint()
        bought = [e.completion for e in first if isinstance(e, Answered | Summarised)]
        with provider.open(image, pack, labels={}) as sandbox:
            replayed = play(RecordedModel(scripted_profile(), bought), sandbox, store, "second")
            assert sandbox.checkpoint() == tree
    store.close()

    outputs = [e.output for e in first if isinstance(e, ToolFinished)]
    assert stands == wanted
    assert not [output.content for output in outputs if output.is_error]
    assert [e.output for e in replayed if isinstance(e, ToolFinished)] == outputs
    assert conversation(replayed) == conversation(first)
    assert is_whole(conversation(first))
    assert len([e for e in first if isinstance(e, Summarised)]) >= 2
