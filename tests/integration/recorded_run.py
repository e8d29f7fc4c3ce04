"""A run of 300 steps on a repository of real size, both made by rule; and how the recording of it in `tests/data` is made.

    python -m tests.integration.recorded_run tests/data/run-300.zip

writes the recording anew. That is due when what we ask a model for changes in number or order (as when summaries are asked
for earlier), and never because a replay reaches another tree: that is what it is there to tell.
"""

import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from coder.app import Application, Options
from coder.bundle import write_bundle
from coder.forge.local import LocalForge
from coder.model.scripted import ScriptedModel
from coder.policy import Policy
from coder.replay import packed_base
from coder.run import resolve
from coder.settings import ModelSettings, Settings
from coder.types import Limits, Message, RepoRef, Task
from coder.verify.rules import ProofRules
from tests.contract.sandbox_support import committed, git
from tests.unit.agent_values import SUMMARY_ASKED, calls, steps_done

STEPS = 300
PACKAGES, MODULES = 12, 30
BROKEN = "sample/p5/m0.py"
_DOC = '"""Add 1 in 5.0."""\n    return value + {}'


def sample() -> dict[str, bytes]:
    """A package tree of 360 modules of 25 functions, and a test for each package, one of them red."""
    project = b'[project]\nname = "sample"\nversion = "1"\n\n[tool.pytest.ini_options]\npythonpath = ["."]\n'
    files: dict[str, bytes] = {"pyproject.toml": project}
    for package in range(PACKAGES):
        for module in range(MODULES):
            functions = (
                f'def f{n}(value: int) -> int:\n    """Add {n} in {package}.{module}."""\n    return value + {n}\n\n\n'
                for n in range(25)
            )
            files[f"sample/p{package}/m{module}.py"] = "".join(functions).encode()
        test = f"from sample.p{package}.m0 import f1\n\n\ndef test_one_is_added() -> None:\n    assert f1(1) == 2\n"
        files[f"tests/test_p{package}.py"] = test.encode()
    files[BROKEN] = files[BROKEN].replace(_DOC.format(1).encode(), _DOC.format(2).encode())
    return files


def path_of(step: int) -> str:
    """The module that a step is about: six steps each."""
    return f"sample/p{step // 6 % PACKAGES}/m{step // 6 * 7 % MODULES}.py"


def recorded(step: int) -> Message:
    """The model's answer at `step`, from 1: look, search, edit in two places, run, plan; at the end mend and hand in."""
    path, word = path_of(step), f"f{step % 25}"
    if step >= STEPS:  # the last look, and then the word
        return calls(step, ("submit", {"title": "Add one", "summary": "f1 of 5.0 added two.", "confirm": True}))
    if step == STEPS - 1:
        return calls(step, ("edit", {"path": BROKEN, "edits": [{"old": _DOC.format(2), "new": _DOC.format(1)}]}))
    edits = [
        {
            "old": 'def f1(value: int) -> int:\n    """Add 1 in',
            "new": f'# {step}\ndef f1(value: int) -> int:\n    """Add 1 in',
        },
        {"after_line": 0, "new": f"# step {step}"},
    ]
    choices: list[list[tuple[str, Mapping[str, object]]]] = [
        [("read", {"path": path, "lines": 80}), ("list", {"pattern": f"{Path(path).parent}/*.py"})],
        [("search", {"pattern": rf"def {word}\b", "path": str(Path(path).parent)})],
        [("edit", {"path": path, "edits": edits})],
        [("run", {"command": f"head -c 2500 {path}; echo {step} > notes.log"})],
        [("plan", {"items": [{"text": f"step {step}", "status": "doing"}]})],
        [("read", {"path": path, "start": 60, "lines": 90})],
    ]
    return calls(step, *choices[step % 6])


def expected(files: Mapping[str, bytes]) -> dict[str, bytes]:
    """What the edits of the recording make of the files, worked out without any tool."""
    after = dict(files)
    for step in range(1, STEPS - 1):
        if step % 6 == 2:
            text = after[path_of(step)].decode()
            at = text.index('def f1(value: int) -> int:\n    """Add 1 in')
            after[path_of(step)] = f"# step {step}\n{text[:at]}# {step}\n{text[at:]}".encode()
    after[BROKEN] = after[BROKEN].replace(_DOC.format(2).encode(), _DOC.format(1).encode())
    return after


def answer(messages: Sequence[Message]) -> Message:
    """The model's answer to a conversation: a summary where one is asked for, else the next step."""
    if (messages[-1].content or "").startswith(SUMMARY_ASKED):
        return Message(role="assistant", content='Goal: go on. "fact"')
    return recorded(steps_done(messages) + 1)


def record(bundle: Path) -> str:
    """Carry the run out, tests and all, and write it into a bundle; its verdict."""
    with tempfile.TemporaryDirectory(prefix="coder-record-") as name:
        folder = Path(name)
        (folder / "sample").mkdir()
        committed(folder / "sample", sample())
        head = git(folder / "sample", "rev-parse", "HEAD").decode().strip()
        policy = Policy(max_rounds=1, proof=ProofRules(max_hunks=0))
        settings = Settings(
            state_dir=folder / "state", model=ModelSettings(profile="kimi-k2-thinking-vllm"), policy=policy
        )
        with Application(settings) as app:
            task = Task(
                run_id="recorded-300",
                repo=RepoRef(owner="local", name="sample"),
                kind="prompt",
                prompt_title="f1 of sample.p5.m0 adds two",
                requested_by="recorder",
                requested_at="2026-01-01T00:00:00Z",
                base_ref=head,
                model=settings.model.chosen,
                limits=Limits(max_steps=400, max_cost_usd=100, max_minutes=600),
            )
            forge = LocalForge(folder / "sample", head=head, branch="main", title=task.prompt_title, body="")
            model = ScriptedModel(app.profile(task.model), [answer] * (STEPS + 50))
            services = replace(app.services(forge, Options(recorded=(), unsafe_local=True)), model=lambda _: model)
            result = resolve(task, services)
            base = packed_base(app, task.run_id)
            write_bundle(
                bundle, app.journals, task.run_id, redact=lambda text: text.replace(name, "/recorded"), base=base
            )
    return result.verdict.kind


if __name__ == "__main__":
    sys.stdout.write(record(Path(sys.argv[1])) + "\n")
