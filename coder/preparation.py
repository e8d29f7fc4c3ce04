"""The first stations of a run: what is to be solved, from which commit, in which environment."""

from collections.abc import Callable
from dataclasses import replace
from typing import Final, get_args

from coder.errors import InputError, JournalError
from coder.repo_config import RepoConfig, Verb, repo_config
from coder.sandbox.protocol import Image
from coder.services import Ground, Services
from coder.trace.events import Prepared, ProblemRead
from coder.trace.journal import Journal
from coder.trace.state import RunState, state_of
from coder.types import Base, Remote, Task, Verdict
from coder.verify.commands import test_command
from coder.workspace.contents import Contents
from coder.workspace.lfs import lfs_pointers
from coder.workspace.repository import Repository
from coder.workspace.submodules import fetch_submodules

MAX_POINTERS: Final = 20
"""Of Git LFS, named."""
_VERBS: Final = {"review": "revise", "check_failure": "autofix"}


class Preparation:
    """Reads and prepares. Afterwards `task` and `services` are what the repository's own configuration leaves of them."""

    def __init__(self, task: Task, services: Services, journal: Journal, *, show: Callable[[str], None]) -> None:
        self.task, self.services = task, services
        self._journal, self._show = journal, show

    @property
    def _state(self) -> RunState:
        return state_of(self._journal.events)

    def read(self) -> Verdict | None:
        """Read the problem and the base commit; a refusal when the person who asked may not."""
        forge, task = self.services.forge, self.task
        if self._state.problem is not None:
            return None
        if not forge.may_write(task):
            reason = f"{task.requested_by} has no write permission to {task.repo.full_name}"
            return Verdict(kind="refused", reasons=(reason,))
        remote = forge.remote(task)
        read = ProblemRead(
            problem=forge.problem(task), base=self._named_base(), remote_url=remote.url, remote_is_local=remote.local
        )
        self._journal.append(read)
        self._show("preparing the environment")
        return None

    def _named_base(self) -> Base:
        """The commit to work from: the task's, else of the branch that `.coder.yml` of the default branch names."""
        forge, task = self.services.forge, self.task
        base = forge.base(task)
        if task.base_ref is not None:
            return base
        try:
            named = repo_config(Contents(self._fetched(base), base.sha)).base
        except InputError:  # told in `prepare`, when somebody can be told
            named = None
        return base if named is None else forge.base(task.model_copy(update={"base_ref": named}))

    def _fetched(self, base: Base) -> Repository:
        services = self.services
        services.progress(f"fetching {base.sha[:12]}")
        return services.workspace.fetch(services.forge.remote(self.task), self.task.repo, base.sha)

    def move_base(self) -> None:
        """Where the base branch is to be taken in: work from its newest commit; once for each follow-up."""
        state = self._state
        pull, read, followup = state.pull_request, state.problem, state.followup
        if followup is None or followup.kind != "rebase" or pull is None or read is None or state.reopened is not None:
            return
        base = self.services.forge.base(self.task.model_copy(update={"base_ref": read.base.ref}))
        if base.sha != read.base.sha:
            self._journal.append(read.model_copy(update={"base": base}))

    def forbidden(self) -> str | None:
        """Why the repository does not take what is asked for, as a clause; found out before anything costs."""
        followup = self._state.followup
        kind = followup.kind if followup is not None else self.task.kind
        verb = _VERBS.get(kind, kind) if followup is not None or kind == "check_failure" else self.task.mode
        if (self.task.number is None and kind != "check_failure") or verb not in get_args(Verb):
            return None
        trusted = self._trusted(self._base())
        try:
            verbs = repo_config(Contents(self._fetched(trusted), trusted.sha)).verbs
        except InputError:  # told in `prepare`
            return None
        if verbs is None or verb in verbs:
            return None
        return f"`{verb}` is not among the `verbs` of .coder.yml ({', '.join(verbs) or 'there are none'})"

    def prepare(self) -> Ground:
        """Fetch the base commit, heed its `.coder.yml`, see to its image, find its tests."""
        base = self._base()
        repository = self._fetched(base)
        trusted = self._trusted(base)
        files = Contents(repository, trusted.sha)
        config = repo_config(files)
        self._narrow(config)
        services, policy = self.services, self.services.policy
        modules = fetch_submodules(services.workspace, repository, self._shared(base), base.sha)
        pointers = lfs_pointers(repository, base.sha)
        pack = repository.pack(base.sha, depth=policy.history)
        setup_pack = pack if trusted == base else repository.pack(trusted.sha, depth=policy.history)
        image = services.sandboxes.image_for(
            files, pack=setup_pack, setup=policy.setup, progress=services.progress, wants=config.wants
        )
        tests = test_command(files, files.__getitem__, override=policy.test_command)
        prepared = Prepared(
            image=image.reference,
            image_digest=image.digest,
            setup_ok=image.setup_ok,
            setup_log=image.setup_log[-20_000:],
            test_command=tests.shown if tests else None,
            services=image.services,
            egress=image.egress,
            submodules=modules.present,
            submodules_missing=modules.missing,
            lfs_pointers=pointers[:MAX_POINTERS],
            lfs_count=len(pointers),
        )
        if self._state.prepared is None or (image.setup_ok and not self._state.prepared.setup_ok):
            self._journal.append(prepared)
        self._check_setup(image)
        return Ground(repository, pack, image, tests, config)

    def _shared(self, base: Base) -> Remote:
        """The remote, without our credential where a stranger may have written what else is fetched with it."""
        remote = self.services.forge.remote(self.task)
        return replace(remote, authorization=None) if base.foreign else remote

    def _trusted(self, base: Base) -> Base:
        """Whose configuration counts, and whose setup runs with network and is kept: never that of a fork."""
        if not base.foreign:
            return base
        trusted = self.services.forge.base(self.task.model_copy(update={"base_ref": base.ref}))
        self._fetched(trusted)
        return trusted

    def _narrow(self, config: RepoConfig) -> None:
        """Take on what the repository says of itself; it only narrows what the operator allows."""
        limits = config.limits.within(self.task.limits)
        self.task = self.task.model_copy(update={"limits": limits})
        self.services = replace(self.services, policy=config.policy(self.services.policy))

    def _check_setup(self, image: Image) -> None:
        if not image.setup_stopped or self.services.policy.without_setup:
            return
        last = next(
            (line for line in reversed(image.setup_log.splitlines()) if line.startswith("! ")), "it gave no log"
        )
        raise InputError(
            f"the environment would not build: {last.removeprefix('! ')}; say how in `setup:` of .coder.yml "
            "(`coder doctor` helps), or have the operator set policy.without_setup"
        )

    def _base(self) -> Base:
        if (problem := self._state.problem) is None:
            raise JournalError(f"run {self.task.run_id} goes on without having read its problem")
        return problem.base
