"""Rounds of work and proof: the agent works, its change is taken out, tests judge it and may send it back."""

import logging
import secrets
from collections.abc import Callable, Sequence
from contextlib import ExitStack, closing

from coder.agent import budget
from coder.agent.followup import followup_message, nonce_of
from coder.agent.loop import Agent
from coder.agent.opening import guide_paths, nested_guides, opening
from coder.baseline import baseline
from coder.errors import CodeMapError, JournalError, PatchRefusedError
from coder.model.profile import ModelProfile
from coder.prompts import render
from coder.review import objection_text, objections, review, worth_a_review
from coder.sandbox.protocol import Sandbox
from coder.segment import may_edit
from coder.services import Ground, Services
from coder.tools.base import Toolbox
from coder.tools.planning import planning
from coder.toolset import remembered, tools_of
from coder.trace.events import Attempted, Baseline, Chosen, Opened, PatchTaken, ProblemRead, Solved, Told, Verified
from coder.trace.journal import Journal
from coder.trace.recall import Recall
from coder.trace.state import Round, RunState, last_turn, limits_now, limits_of_attempt, spent, state_of
from coder.types import Base, Checkpoint, Evidence, Followup, Message, Note, Problem, Task, Verdict
from coder.verify.touching import by_code_map
from coder.verify.verifier import CellVerifier

logger = logging.getLogger(__name__)


class Rounds:
    """The middle of a run's line: solve, extract, verify, until the verdict stands."""

    def __init__(
        self, task: Task, services: Services, journal: Journal, ground: Ground, *, show: Callable[[str], None]
    ) -> None:
        self._task, self._services, self._policy = task, services, services.policy
        self._journal, self._ground, self._show = journal, ground, show
        self._recall, self._shelf = Recall(journal), services.shelf(journal)
        self._verifier = CellVerifier(
            ground.repository,
            services.sandboxes,
            tests=ground.tests,
            timeout_s=services.policy.test_timeout_s,
            labels={"coder.run": task.run_id},
            rules=services.policy.proof,
            progress=services.progress,
            shelf=self._shelf,
            touching=by_code_map(services.codemap, ground.repository),
        )

    @property
    def _state(self) -> RunState:
        return state_of(self._journal.events)

    @property
    def _base(self) -> Base:
        return base_of(self._state)

    def prove(self) -> None:
        """Attempts at the problem, until one is proven or none is left; the best one is what goes on."""
        with closing(self._recall):
            while self._attempt():
                if not self._begin_again():
                    self._choose()
                    return
                self._show("beginning again from the start")

    def _attempt(self) -> bool:
        """Rounds of work and tests, until the tests are content or the rounds are used up. False when it waits or was stopped."""
        with ExitStack() as stack:
            sandbox: Sandbox | None = None
            while True:
                state = self._state
                if len(state.rounds) == state.objections:  # this round has no verdict yet
                    if state.patch is None:
                        sandbox = sandbox or stack.enter_context(self._open())
                        if not self._solve(sandbox):
                            return False
                    self._verify()
                self._review()
                if not self._send_back():
                    return True

    def _begin_again(self) -> bool:
        """Begin another attempt from the base commit: while none is proven, nobody has joined in, and there is budget for it."""
        state, used = self._state, spent(self._journal.entries)
        profile = self._services.model(self._task.model).profile
        limits = limits_now(at_effort(self._task, profile), self._journal.entries)
        number = max(one.attempt for one in state.rounds) + 1
        if number > attempts_of(self._task, profile) or state.segments or state.reopened is not None:
            return False
        if state.best.verified.verdict.kind == "proven" or budget.exhausted(limits, used):
            return False
        if not budget.room(0, profile, limits, used):
            return False
        self._journal.append(Attempted(number=number))
        return True

    def _choose(self) -> None:
        """Of several attempts let the best be what follow-ups go on with."""
        state = self._state
        if not state.rounds or state.best.attempt == state.attempt:
            return
        taken, step = state.best.patch, last_turn(self._journal.events).step
        work = Checkpoint(step=step, tree_sha=taken.patch.tree_sha, diff_blob=taken.diff_blob) if taken else None
        self._journal.append(Chosen(number=state.best.attempt, checkpoint=work))

    def _open(self) -> Sandbox:
        """A sandbox with the work as it stood at the last checkpoint."""
        self._services.progress("starting the sandbox")
        labels = {"coder.run": self._task.run_id}
        sandbox = self._services.sandboxes.open(self._ground.image, self._ground.pack, labels=labels)
        if (checkpoint := self._state.checkpoint) is not None:
            diff = self._journal.blob(checkpoint.diff_blob).decode("utf-8", "surrogateescape")
            sandbox.restore(diff)
        return sandbox

    def _solve(self, sandbox: Sandbox) -> bool:
        """Let the agent work; take its change out of the sandbox and check it. False when it waits or was stopped."""
        model = self._services.model(self._task.model)
        before = self._state.opened
        services, ground, base_sha = self._services, self._ground, self._base.sha
        red = before.baseline if before else baseline(services, ground, base_sha, sandbox, self._shelf)
        toolbox = self._toolbox(sandbox, model.profile, red)
        if before is None:
            self._show("working")
            facts = remembered(services.memory, self._task.repo.full_name, ground.repository, base_sha)
            messages = self._opening(facts, red)
            opened = Opened(messages=messages, tools=toolbox.specs, baseline=red, remembered=facts)
            self._journal.append(opened)
        self._tell()
        if (solved := self._state.solved) is not None:
            outcome = solved.outcome
        else:
            limits = limits_now(at_effort(self._task, model.profile), self._journal.entries)
            if not self._state.segments and self._state.reopened is None:
                attempts = attempts_of(self._task, model.profile)
                limits = limits_of_attempt(limits, self._journal.entries, attempts)
            agent = Agent(
                model=model,
                toolbox=toolbox,
                sandbox=sandbox,
                journal=self._journal,
                limits=limits,
                inbox=lambda: self._services.inbox(self._task.run_id),
            )
            outcome = agent.solve()
        if outcome.kind in {"asked", "stopped"}:
            return False
        diff = sandbox.diff()
        try:
            patch = self._ground.repository.apply(self._base.sha, diff, self._policy.patch)
        except PatchRefusedError as exc:
            self._refuse(str(exc))
            return True
        blob = self._journal.put_blob(diff.encode("utf-8", "surrogateescape"))
        self._journal.append(PatchTaken(patch=patch.model_copy(update={"diff": ""}), diff_blob=blob))
        return True

    def _tell(self) -> None:
        """Pass on the follow-up that opened the run again, once from each place where it goes on."""
        state = self._state
        if state.followup is None or state.opened is None or state.told:
            return
        editable = may_edit(self._task, state.segments)
        message = followup_message(with_blame(state), state.opened, state.reopened, may_edit=editable)
        step = last_turn(self._journal.events).step
        self._journal.append(Told(step=step, reason="followup", followup=state.followup.id, message=message))

    def _toolbox(self, sandbox: Sandbox, profile: ModelProfile, red: Baseline | None) -> Toolbox:
        tools = tools_of(
            self._task,
            self._services,
            self._ground,
            self._base,
            sandbox=sandbox,
            profile=profile,
            journal=self._journal,
            recall=self._recall,
            baseline=red,
        )
        return Toolbox(tools if may_edit(self._task, self._state.segments) else planning(tools))

    def _opening(self, facts: tuple[str, ...], red: Baseline | None) -> tuple[Message, ...]:
        state, base = self._state, self._base
        if state.problem is None or state.prepared is None:
            raise JournalError(f"run {self._task.run_id} opens a conversation before it has read and prepared")
        problem = with_evidence(state.problem.problem, state)
        tree = self._ground.repository.tree(base.sha)
        try:
            code_map = self._services.codemap.map(tree, focus=words_of(problem), max_tokens=self._policy.map_tokens)
        except CodeMapError as exc:
            logger.warning("no code map", extra={"run": self._task.run_id, "why": str(exc)})
            code_map = ""
        paths = tuple(self._ground.repository.files(base.sha))
        guides = guide_paths(paths)
        texts = {path: self._ground.repository.read(base.sha, path).decode("utf-8", "replace") for path in guides}
        messages = opening(
            problem,
            base,
            state.prepared,
            code_map=code_map,
            guides=texts,
            nonce=secrets.token_hex(8),
            may_ask=self._services.answerable,
            remembered=facts,
            baseline=red,
            folder_guides=nested_guides(paths),
        )
        if self._task.mode == "fix":
            return messages
        *before, last = messages
        plan = last.model_copy(update={"content": f"{last.content}\n\n{render('plan_mode')}"})
        return (*before, plan)

    def _verify(self) -> None:
        """Judge the patch by tests in fresh containers."""
        state = self._state
        if state.patch is None:  # it was refused, which is a verdict
            return
        if told := [judged for judged in self._services.judged if judged.round == state.objections + 1]:
            self._journal.append(told[0])
            return
        diff = self._journal.blob(state.patch.diff_blob).decode("utf-8", "surrogateescape")
        patch = self._ground.repository.apply(self._base.sha, diff, self._policy.patch)
        self._show("testing the change in clean containers")
        # Parts that no test needs are held out to the model once: a proven change has no other objections.
        offered = any(r.verified.verdict.kind == "proven" and r.verified.verdict.objections for r in state.rounds)
        number, words = state.objections + 1, words_of(problem_of(state).problem)
        result = self._verifier.verify(patch, image=self._ground.image, round=number, offer=not offered, asked=words)
        verdict = result.verdict if patch.files else _no_change(state.solved)
        self._journal.append(Verified(round=number, verdict=verdict, evidence=result.evidence))

    def _review(self) -> None:
        """Let a second model look at what the tests accept, once a round."""
        last, name = self._state.rounds[-1], self._policy.reviewer
        kind = last.verified.verdict.kind
        if not name or last.reviewed is not None or last.patch is None or not worth_a_review(kind):
            return
        self._show("having the change reviewed")
        review(
            self._services.model(self._task.model if name == "same" else name),
            self._journal,
            limits_now(self._task, self._journal.entries),
            number=last.verified.round,
            problem=problem_of(self._state).problem,
            diff=self._journal.blob(last.patch.diff_blob).decode("utf-8", "replace"),
            paths={change.path for change in last.patch.patch.files},
            verdict=kind,
            cells=last.verified.evidence.cells,
        )

    def _refuse(self, reason: str) -> None:
        objections = (f"The change may not leave the sandbox: {reason}",)
        verdict = Verdict(kind="refused", reasons=(reason,), objections=objections)
        image = self._ground.image
        evidence = Evidence(base_sha=self._base.sha, head_tree="", image=image.reference, image_digest=image.digest)
        self._journal.append(Verified(round=self._state.objections + 1, verdict=verdict, evidence=evidence))

    def _send_back(self) -> bool:
        """Tell the model what the tests and the reviewer object to; False when the verdict stands."""
        state = self._state
        last, verdict = state.rounds[-1], state.rounds[-1].verified.verdict
        profile = self._services.model(self._task.model).profile
        rounds = [one for one in state.rounds if one.attempt == last.attempt]
        left = (profile.max_rounds or self._policy.max_rounds) - len(rounds)
        handed_in = state.solved is not None and state.solved.outcome.kind == "submitted"
        objected = bool(objections(last.reviewed))
        if not (verdict.objections or objected) or not handed_in or left < 1 or _insists(rounds):
            return False
        parts = []
        if verdict.objections:
            parts.append(render("objection", verdict=verdict.kind, objections=verdict.objections, rounds_left=left))
        if last.reviewed is not None and objected and state.opened is not None:
            nonce = nonce_of(state.opened)
            parts.append(objection_text(last.reviewed, verdict=verdict.kind, rounds_left=left, nonce=nonce))
        message = Message(role="user", content="\n\n".join(parts))
        self._journal.append(Told(step=spent(self._journal.entries).steps, reason="objection", message=message))
        return True


def _insists(rounds: Sequence[Round]) -> bool:
    """Whether the very change that was objected to was handed in again: saying it once more would not help."""
    trees = [one.patch.patch.tree_sha if one.patch else None for one in rounds[-2:]]
    return len(trees) > 1 and trees[0] is not None and trees[0] == trees[1]


def _no_change(solved: Solved | None) -> Verdict:
    """An empty change is an answer, not a mistake, when the model says why; there is nothing to send back."""
    submission = solved.outcome.submission if solved else None
    words = (f"in the model's words: {submission.summary}",) if submission else ()
    return Verdict(kind="no_change", reasons=("the change is empty", *words))


def at_effort(task: Task, profile: ModelProfile) -> Task:
    """`task` with no more steps than the profile gives at its effort."""
    limits = task.limits
    steps = min(limits.max_steps, profile.max_steps or limits.max_steps)
    return task.model_copy(update={"limits": limits.model_copy(update={"max_steps": steps})})


def attempts_of(task: Task, profile: ModelProfile) -> int:
    """How often the problem may be begun: as was asked for, or as the profile has it at its effort. A plan is made once."""
    return 1 if task.mode == "plan" else task.attempts or profile.attempts


def base_of(state: RunState) -> Base:
    """The commit that the run works from; read before anything else is done."""
    return problem_of(state).base


def problem_of(state: RunState) -> ProblemRead:
    """What the run is about; read before anything else is done."""
    if state.problem is None:
        raise JournalError("the journal goes on without having read its problem")
    return state.problem


def words_of(problem: Problem) -> str:
    """What the issue says, and what those with a say in the repository said to it."""
    return "\n".join([problem.title, problem.body.body, *(c.body for c in problem.comments if c.trusted)])


def with_evidence(problem: Problem, state: RunState) -> Problem:
    """What is to be solved; where it is a red check, with what was found out about it."""
    found = state.attributed
    if found is None:
        return problem
    body = "\n".join(["Run again by us:", *found.lines, "", "Of the log:", found.log])
    return problem.model_copy(update={"comments": (*problem.comments, Note(author="the failed check", body=body))})


def with_blame(state: RunState) -> Followup:
    """The follow-up that opened the run again; of a red check with what was found out about it."""
    followup, found = state.followup, state.attributed
    if followup is None:
        raise JournalError("nobody added anything to this run")
    if found is None:
        return followup
    body = "\n".join([followup.note.body, "", "Run again by us:", *found.lines, "", "Of the log:", found.log])
    return followup.model_copy(update={"note": followup.note.model_copy(update={"body": body})})
