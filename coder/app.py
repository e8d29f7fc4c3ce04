"""Wiring: the only place where parts are made and put together."""

import logging
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Self

from pydantic import SecretStr

from coder import logs
from coder.codemap.map import CodeMap
from coder.errors import (
    CoderError,
    ConfigError,
    EngineUnavailableError,
    ForgeError,
    InputError,
    PermissionDeniedError,
    SandboxError,
)
from coder.forge.config import GitHubSettings
from coder.forge.github import GitHubForge
from coder.forge.github_app import Identity
from coder.forge.github_lookup import GitHubLookup
from coder.forge.protocol import Forge
from coder.memory.store import MemoryStore
from coder.model.fallback import FallbackModel
from coder.model.litellm_client import LitellmClient
from coder.model.profile import ModelProfile
from coder.model.profiles import load_profile, with_overrides
from coder.model.protocol import ModelClient
from coder.model.recorded import RecordedModel
from coder.publish.status import status_body
from coder.publish.texts import Texts
from coder.redact import Redactor
from coder.run import resolve
from coder.sandbox.docker_backend import DockerSandboxProvider
from coder.sandbox.local import LocalSandboxProvider
from coder.sandbox.protocol import SandboxProvider
from coder.services import Services
from coder.settings import Settings, data_folder, load
from coder.tools.mcp import McpTools
from coder.trace.events import Entry, Resumed
from coder.trace.journal import JournalStore
from coder.trace.state import spent, state_of
from coder.types import Completion, Followup, JsonObject, RunResult, Task
from coder.workspace.workspace import Workspace

logger = logging.getLogger(__name__)


@dataclass(slots=True)
class Options:
    """What one call of the command line adds to the settings."""

    recorded: Sequence[Completion] | None = None
    """Answers to play back instead of asking a model."""
    answerable: bool = False
    """Somebody waits who can be asked."""
    unsafe_local: bool = False
    """Run without a container; for people who accept that the model's commands run on their machine."""
    dry_run: Path | None = None
    listeners: tuple[Callable[[Entry], None], ...] = ()
    progress: Callable[[str], None] = field(default=lambda _: None)


class Application:
    """All parts of one process, made from settings when they are first needed. Close it, or use it in a `with`."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        keys = [settings.api_key(self.profile(name)) for name in (settings.model.profile, *settings.other_models)]
        self.redactor = Redactor([*secrets_of(settings), *(key.get_secret_value() for key in keys if key)])
        self._models: dict[str, LitellmClient] = {}
        self._lock = threading.Lock()
        self._closers: list[Callable[[], None]] = []
        settings.state_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
        self.journals = JournalStore(settings.state_dir / "journal.sqlite")
        self.codemap = CodeMap(settings.state_dir / "codemap.sqlite")
        self.memory = MemoryStore(settings.state_dir / "memory.sqlite")
        self.mcp = McpTools(settings.mcp, inherited=settings.program_environment())

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exc: object) -> None:
        self.close()

    def close(self) -> None:
        """Let go of files, connections and threads."""
        for model in self._models.values():
            model.close()
        self._models.clear()
        for close in reversed(self._closers):
            close()
        self._closers.clear()
        self.mcp.close()
        self.memory.close()
        self.codemap.close()
        self.journals.close()

    def profile(self, name: str) -> ModelProfile:
        """A model's profile, the chosen one with the settings' overrides.

        Raises:
            ConfigError: There is no such profile. ModelError: It is retired.
        """
        model = self.settings.model
        folders = [*([model.profiles] if model.profiles else []), data_folder("configs") / "models"]
        profile = load_profile(name, folders)
        return (
            profile
            if name in self.settings.other_models
            else with_overrides(profile, api_base=model.api_base, model=model.model)
        )

    def model(self, name: str) -> ModelClient:
        """A client for a profile, with the settings' fallbacks behind it."""
        fallbacks = [self._client(other) for other in self.settings.model.fallbacks if other != name]
        return FallbackModel([self._client(name), *fallbacks]) if fallbacks else self._client(name)

    def _client(self, name: str) -> LitellmClient:
        """The client for a profile; one per process."""
        with self._lock:
            if name not in self._models:
                profile = self.profile(name)
                self._models[name] = LitellmClient(
                    profile,
                    self.settings.api_key(profile),
                    proxy=self.settings.model.proxy,
                    ca_bundle=self.settings.sandbox.ca_bundle,
                )
            return self._models[name]

    def warm_up(self, name: str) -> None:
        """Import litellm beside the container's start; it costs seconds of CPU."""
        threading.Thread(target=self._client(name).warm_up, name="litellm-import", daemon=True).start()

    def github(self, *, trigger_labels: tuple[str, ...] = (), allowed_bots: tuple[int, ...] = ()) -> GitHubForge:
        """GitHub as the settings name it; `trigger_labels` and `allowed_bots` are put to the settings' own."""
        labels = tuple(dict.fromkeys([*self.settings.github.trigger_labels, *trigger_labels]))
        bots = (*self.settings.github.allowed_bots, *allowed_bots)
        given = {"trigger_labels": labels, "allowed_bots": bots}
        forge = GitHubForge(self.settings.github.model_copy(update=given), pace_folder=self.settings.state_dir / "pace")
        self._closers.append(forge.close)
        return forge

    def lookup(self) -> GitHubLookup:
        """What is asked of GitHub beside any run, with connections of its own: a sweep does not hold up a run."""
        lookup = GitHubLookup(self.settings.github)
        self._closers.append(lookup.close)
        return lookup

    def sandboxes(self, *, unsafe_local: bool = False) -> SandboxProvider:
        """Docker; or this machine itself, when that was asked for in so many words."""
        if unsafe_local:
            return LocalSandboxProvider(self.settings.sandbox)
        provider = DockerSandboxProvider(self.settings.sandbox, images_folder=data_folder("sandbox_images"))
        self._closers.append(provider.close)
        return provider

    def services(self, forge: Forge, options: Options) -> Services:
        """The parts of a run."""
        settings, recorded = self.settings, options.recorded
        model: Callable[[str], ModelClient] = self.model
        policy = settings.policy
        if recorded is not None:
            policy = policy.model_copy(update={"recorded": True})
            model = _player(self.profile, recorded)
        return Services(
            forge=forge,
            model=model,
            sandboxes=self.sandboxes(unsafe_local=options.unsafe_local),
            workspace=self.workspace(),
            codemap=self.codemap,
            journals=self.journals,
            policy=policy,
            redact=self.redactor.exact,
            redact_fully=self.redactor.full,
            listeners=options.listeners,
            progress=options.progress,
            memory=self.memory if recorded is None else None,  # a played recording finds nothing out
            more_tools=self.mcp.tools if recorded is None else tuple,
            answerable=options.answerable,
            dry_run=options.dry_run,
        )

    def workspace(self) -> Workspace:
        """The mirrors of repositories."""
        bundle = self.settings.sandbox.ca_bundle
        return Workspace(
            self.settings.state_dir / "mirrors",
            http_hosts=frozenset(self.settings.github.http_hosts),
            ca_bundle=Path(bundle) if bundle else None,
            proxies=self.settings.sandbox.proxy.environment(),
        )


Heard = Callable[[str], tuple[Followup, ...]]
"""What permitted people said to a run while it works, by the run's id."""


@dataclass(frozen=True, slots=True)
class ServiceParts:
    """What the service is made of."""

    values: JsonObject
    """The settings that the service knows, by its own names."""
    forge: GitHubForge
    lookup: GitHubLookup
    run: Callable[[Task, Followup | None, Heard], JsonObject]
    """Carries out one task, or what is added to it; failures are data."""
    stop: Callable[[str], None]
    """Ends the run of an id that goes on in this process though it should not: takes its containers away."""
    length: Callable[[str], int]
    """How far the journal of a run has come, by its id: its lines, starts of processes left out."""
    describe: Callable[[Task, str], str]
    """A comment about a run: `status`, `explain`, or else how it was broken off."""


def _prewarmed(settings: Settings) -> Settings:
    """`settings` with sandboxes of the last 3 images ready, unless something else is said: there in 0.2 s, 15 MiB each."""
    sandbox = settings.sandbox
    if "prewarm" in sandbox.model_fields_set:
        return settings
    return settings.model_copy(update={"sandbox": sandbox.model_copy(update={"prewarm": 3})})


def service_parts(config: Path | None) -> ServiceParts:
    """The parts for `coder serve` and `coder worker`.

    Raises:
        ConfigError: A setting does not fit. InputError: One is missing.
    """
    settings = _prewarmed(load(config))
    app = Application(settings)  # a wrong model name is told here, not at the first issue
    logs.configure(settings.log_level, app.redactor.full)
    service = settings.service
    if service.webhook_secret is None:
        raise InputError("`coder serve` needs service.webhook_secret (CODER_SERVICE__WEBHOOK_SECRET), as set at GitHub")
    labels = (service.label, service.label_plan, service.label_auto, service.label_heavy)
    forge = app.github(trigger_labels=labels, allowed_bots=service.allowed_bots)
    services = app.services(forge, Options(answerable=True))
    sweep_orphans(services.sandboxes)

    def run(task: Task, followup: Followup | None, heard: Heard) -> JsonObject:
        return carried_out(task, followup, replace(services, inbox=heard))

    def stop(run_id: str) -> None:
        services.sandboxes.sweep(run_id=run_id)

    def length(run_id: str) -> int:
        return sum(not isinstance(event, Resumed) for event in services.journals.open(run_id).events)

    def describe(task: Task, what: str) -> str:
        return _described(services, task, what)

    us = who_we_are(settings.github, mention=service.mention)
    values: JsonObject = {
        **service.model_dump(),
        "bot_login": us.login if us else settings.github.bot_login,
        "bot_id": us.id if us else settings.github.bot_id,
        "state_dir": settings.state_dir,
        "model": settings.model.chosen,
        "limits": settings.limits.model_dump(),
    }
    return ServiceParts(values, forge, app.lookup(), run, stop, length, describe)


def who_we_are(github: GitHubSettings, *, mention: str) -> Identity | None:
    """Our account, whose events trigger nothing; asked of GitHub where the settings do not say it, but not for long.

    A personal token may be that of a person who asks: its account is ours where `bot_login` says so, or where we are
    addressed by just its name.
    """
    try:
        with GitHubLookup(github.model_copy(update={"timeout_s": 5, "max_retries": 0})) as lookup:
            found = lookup.identity()
    except (ConfigError, ForgeError) as exc:
        logger.warning("GitHub does not say who we are: set github.bot_login and bot_id", extra={"why": str(exc)})
        return None
    named = found.login.lower() in {mention.lower(), (github.bot_login or "").lower()}
    if github.app_id is None and not named:
        logger.info("the token is taken for a person's: if not, set github.bot_login", extra={"login": found.login})
        return None
    return found


def carried_out(task: Task, followup: Followup | None, services: Services) -> JsonObject:
    """What the engine keeps of a run, or of what was added to one, once it is carried out; a failure is data."""
    redact = services.redact_fully
    try:
        return _told(resolve(task, services, followup))
    except PermissionDeniedError as exc:
        return {"ok": True, "verdict": "refused", "reasons": [redact(str(exc))]}
    except CoderError as exc:
        logger.error("a run failed", extra={"run": task.run_id, "why": str(exc)})  # noqa: TRY400 - the message says it
        return {"ok": False, "error": redact(str(exc)), "passes": exc.passes}
    except Exception as exc:
        logger.exception("a run failed by a mistake of ours", extra={"run": task.run_id})
        return {"ok": False, "error": redact(f"internal error: {exc!r}")}


def _told(result: RunResult) -> JsonObject:
    """What the engine keeps of a run."""
    pull = result.pull_request
    return {
        "ok": True,
        "verdict": result.verdict.kind,
        "outcome": result.outcome.kind,
        "reasons": list(result.verdict.reasons[:5]),
        "url": pull.url if pull else None,
        "number": pull.number if pull else None,
        "branch": pull.branch if pull else None,
        "awaits": pull.commit_sha if pull and pull.awaits_checks else None,
    }


def _described(services: Services, task: Task, what: str) -> str:
    """How a run stands, from its journal."""
    journal = services.journals.open(task.run_id)
    state, texts = state_of(journal.events), Texts(services.redact_fully)
    ended = state.finished.result if state.finished is not None else None
    broken = "" if what in {"status", "explain"} else f"stopped: {what}"
    station = broken or ("at work" if journal.events else "waiting for its turn")
    body = status_body(
        task=task,
        station=station,
        spent=spent(journal.entries),
        result=None if broken else ended,
        redact=services.redact_fully,
    )
    submission = ended.outcome.submission if ended is not None else None
    if what != "explain" or submission is None:
        return body
    files = [f"- {texts.code(one.path)}: {texts.line(one.reason)}" for one in submission.rationale[:20]]
    return "\n\n".join([body, "In the model's words:", texts.quote(submission.summary, 4_000), "\n".join(files)])


def sweep_orphans(sandboxes: SandboxProvider) -> int:
    """Remove containers that dead processes left behind; how many. Without an engine there is nothing to wait for."""
    try:
        removed = sandboxes.sweep()
    except (EngineUnavailableError, SandboxError) as exc:
        logger.warning("no sweep for orphans", extra={"reason": str(exc)})
        return 0
    if removed:
        logger.info("orphans removed", extra={"containers": removed})
    return removed


def secrets_of(settings: Settings) -> list[str]:
    """Every secret value that the settings hold, wherever it stands."""
    found: list[str] = []

    def look(value: object) -> None:
        if isinstance(value, SecretStr):
            found.append(value.get_secret_value())
        elif isinstance(value, dict):
            for inner in value.values():
                look(inner)

    look(settings.model_dump())
    return [secret for secret in found if secret]


def _player(profile: Callable[[str], ModelProfile], recorded: Sequence[Completion]) -> Callable[[str], ModelClient]:
    """Gives a player of the recorded answers, always the same one."""
    players: dict[str, RecordedModel] = {}

    def model(name: str) -> ModelClient:
        if name not in players:
            players[name] = RecordedModel(profile(name), recorded)
        return players[name]

    return model
