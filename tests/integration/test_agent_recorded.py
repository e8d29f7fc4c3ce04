"""A recorded run of 300 steps on a repository of real size, played by the real runner, git and tools; then played again."""

from contextlib import closing
from pathlib import Path

import pytest

from coder.agent.loop import Agent
from coder.app import Application
from coder.codemap.syntax import SyntaxChecker
from coder.model.protocol import ModelClient
from coder.model.recorded import RecordedModel
from coder.model.scripted import ScriptedModel
from coder.replay import replay
from coder.sandbox.protocol import Sandbox
from coder.settings import ModelSettings, Settings
from coder.tools.base import Toolbox
from coder.tools.edit import EditTool
from coder.tools.files import List, Read, Search
from coder.tools.plan import Plan
from coder.tools.recall import RecallTool
from coder.tools.run import Run
from coder.tools.submit import Submit
from coder.trace.events import Answered, Event, Opened, Summarised, ToolFinished
from coder.trace.journal import JournalStore
from coder.trace.recall import Recall
from coder.trace.state import conversation
from coder.types import Limits, Message
from tests.contract.sandbox_support import committed, local_backend
from tests.integration.recorded_run import STEPS, answer, expected, sample
from tests.unit.agent_values import is_whole
from tests.values import scripted_profile

RECORDING = Path(__file__).parents[1] / "data" / "run-300.zip"


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
                Submit(sandbox, journal),
            ]
        )
        opening = (Message(role="system", content="work"), Message(role="user", content="fix it"))
        journal.append(Opened(messages=opening, tools=tools.specs))
        limits = Limits(max_steps=1_000, max_cost_usd=100)
        outcome = Agent(model=model, toolbox=tools, sandbox=sandbox, journal=journal, limits=limits).solve()
    assert outcome.kind == "submitted"
    return journal.events


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


@pytest.mark.timeout(300)
def test_the_journal_that_was_recorded_once_still_reaches_its_tree(tmp_path: Path) -> None:
    settings = Settings(state_dir=tmp_path / "state", model=ModelSettings(profile="kimi-k2-thinking-vllm"))

    with Application(settings) as app:
        outcome = replay(app, str(RECORDING), progress=lambda _: None, unsafe_local=True, tested=False)

    assert outcome.same
    assert outcome.answers >= STEPS
    assert (outcome.verdict, outcome.tested) == ("proven", False)
