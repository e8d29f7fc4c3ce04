"""What an operator sets: the only reader of configuration files and of the environment.

Sources, the later ones winning: defaults, a TOML file (`--config`, `CODER_CONFIG`, else `coder.toml` in the user's
configuration folder), `CODER_*` variables with `__` between section and field. Nothing is ever read from the checkout
that is worked on.
"""

import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field, SecretStr, StringConstraints, ValidationError
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict, TomlConfigSettingsSource
from typing_extensions import override

from coder.errors import ConfigError
from coder.forge.config import GitHubSettings
from coder.model.profile import Effort, ModelProfile
from coder.places import OTHER_NAMES, PREFIX, config_file, default_state_dir
from coder.policy import Policy
from coder.sandbox.config import ProxySettings, SandboxSettings
from coder.tools.mcp_client import McpSettings
from coder.types import Limits, Value


class ModelSettings(Value):
    """Section `[model]`."""

    profile: str = "kimi-k2-thinking"
    """Name of a profile in `configs/models/` or in `profiles`."""
    effort: Effort | None = None
    """low, medium, high or max: thought per step, steps, rounds and attempts, as the profile says; none leaves the profile as it is."""
    fallbacks: tuple[str, ...] = ()
    """Profiles that go on with a run, in this order, when the model before cannot be asked. The overrides below are not theirs."""
    profiles: Path | None = None
    """Folder with profiles of your own; they win over ours of the same name."""
    api_base: str | None = None
    """Address of the provider, instead of the profile's."""
    model: str | None = None
    """The provider's id of the model, instead of the profile's."""
    api_key: SecretStr | None = None
    """The provider's key; without it the profile's environment variable is read."""
    proxy: str | None = None
    """HTTP proxy to the provider, as a URL; the environment's is not used, so that a model at home is not asked abroad."""

    @property
    def chosen(self) -> str:
        """The profile with its effort, as tasks name it: `NAME` or `NAME@EFFORT`."""
        return f"{self.profile}@{self.effort}" if self.effort and "@" not in self.profile else self.profile


class ServiceSettings(Value):
    """Section `[service]`: what `coder serve` needs."""

    host: str = "127.0.0.1"
    port: int = Field(default=8080, ge=0, le=65_535)
    webhook_secret: SecretStr | None = None
    """As entered at GitHub; required by `coder serve`."""
    api_token: SecretStr | None = None
    """Bearer token for `/runs` and `/api/v1/runs`. Without one only this machine may look, and nobody may post."""
    label: str = "coder"
    """Label on an issue that starts a run."""
    label_plan: str = "coder:plan"
    """Label that asks for a plan, which waits for a person's word."""
    label_auto: str = "coder:auto"
    """Label that asks for a fix without a plan, where `plan_first` is set."""
    label_heavy: str = "coder:heavy"
    """Label that asks for a fix with `ceiling_cost_usd` and `heavy_model`."""
    plan_first: bool = False
    """`label` and `fix` ask for a plan first."""
    fix_default_branch: bool = False
    """Failed checks of the default branch start a run."""
    dispatch_event: str = "coder"
    """Event type of `repository_dispatch` that is ours."""
    ceiling_cost_usd: float | None = Field(default=None, gt=0)
    """What a comment (`max=$9`, `continue +$5`) may raise a run's dollars to; without it, `limits.max_cost_usd`."""
    models: tuple[str, ...] = ()
    """Model profiles that a comment may name (`model=…`)."""
    heavy_model: str | None = None
    """Model profile of `label_heavy`."""
    max_followups: int = Field(default=10, ge=1)
    """How often one run may be added to."""
    max_check_followups: int = Field(default=5, ge=0)
    """How often failed checks may send one run back to work."""
    schedule: tuple[dict[str, str], ...] = ()
    """`[[service.schedule]]`: `cron` (five fields, UTC), `repo`, `title`, `prompt`, `requested_by`."""
    sweep_minutes: float = Field(default=10.0, ge=0)
    """How often labelled issues are looked for whose webhook was lost; 0 is never."""
    mention: str = "coder"
    """The handle of `@handle fix` and `/handle fix`."""
    allowed_repos: tuple[str, ...] = ()
    """`owner/name`, `owner/*` or `*`; none allowed is none."""
    allowed_bots: tuple[int, ...] = ()
    """Account ids of bots that may ask."""
    database_url: str | None = None
    """Postgres for the jobs, instead of a SQLite file."""
    executor_id: str = "local"
    """Unique among the worker processes of one database."""
    concurrency: int = Field(default=2, ge=1, le=64)
    """Runs at the same time; never two of one repository."""
    drain_s: float = Field(default=30.0, ge=0)
    """How long a stop waits for running jobs before it hands them back, in seconds."""
    max_runs_per_day_per_repo: int = Field(default=1000, ge=1)
    """Runs within 24 hours; what people without permission asked for is not counted."""
    max_runs_per_day_per_sender: int = Field(default=500, ge=1)
    """Runs within 24 hours that one person may ask for, in all repositories together."""
    retention_days: int = Field(default=30, ge=1)
    """How long deliveries and finished jobs are kept; journals are not touched."""


class Settings(BaseSettings):
    """Everything that can be set. Unknown names are refused, in the file and in the environment."""

    model_config = SettingsConfigDict(
        frozen=True, extra="forbid", env_prefix=PREFIX, env_nested_delimiter="__", env_file=None
    )

    model: ModelSettings = ModelSettings()
    limits: Limits = Limits()
    """Caps of each run."""
    policy: Policy = Policy()
    sandbox: SandboxSettings = SandboxSettings()
    github: GitHubSettings = GitHubSettings()
    service: ServiceSettings = ServiceSettings()
    mcp: dict[Annotated[str, StringConstraints(pattern="^[a-z0-9]{1,24}$")], McpSettings] = Field(default_factory=dict)
    """Programs that offer the model more tools, by a short name each."""
    state_dir: Path = Field(default_factory=default_state_dir)
    """Journals, mirrors of repositories, code map index, jobs."""
    log_level: Literal["debug", "info", "warning", "error"] = "info"

    @property
    def other_models(self) -> frozenset[str]:
        """Profiles that are asked beside the chosen one: the section's overrides and its key are not theirs."""
        reviewer = {self.policy.reviewer} - {"", "same", self.model.profile}
        return frozenset({*self.model.fallbacks, *reviewer})

    def program_environment(self) -> dict[str, str]:
        """What of our environment a program that the settings name gets: where programs are, and whose home it is."""
        return {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}

    def api_key(self, profile: ModelProfile) -> SecretStr | None:
        """The key for a profile: as set, else from the variable that the profile names. A fallback never gets another's key."""
        if self.model.api_key is not None and profile.name not in self.other_models:
            return self.model.api_key
        value = os.environ.get(profile.api_key_env, "").strip()
        return SecretStr(value) if value else None


def load(config: Path | None = None) -> Settings:
    """The settings.

    Raises:
        ConfigError: A file that is not there or not TOML, or a name or value that does not fit; the message says which.
    """
    path = config_file(config)
    _refuse_unknown(os.environ)

    class FromFile(Settings):
        """`Settings` that also read `path`."""

        @classmethod
        @override
        def settings_customise_sources(
            cls,
            settings_cls: type[BaseSettings],
            init_settings: PydanticBaseSettingsSource,
            env_settings: PydanticBaseSettingsSource,
            dotenv_settings: PydanticBaseSettingsSource,
            file_secret_settings: PydanticBaseSettingsSource,
        ) -> tuple[PydanticBaseSettingsSource, ...]:
            file = () if path is None else (TomlConfigSettingsSource(settings_cls, path),)
            return (init_settings, env_settings, *file)

    try:
        return _machine_defaults(FromFile())
    except ValidationError as exc:
        where = path or "the environment"
        problems = "; ".join(f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in exc.errors()[:5])
        raise ConfigError(f"settings in {where} do not fit: {problems}") from exc
    except ValueError as exc:
        raise ConfigError(f"cannot read the settings ({path or 'environment'}): {exc}") from exc


def data_folder(name: Literal["configs", "sandbox_images"]) -> Path:
    """A folder of data that belongs to the program: from the wheel, else from the source tree."""
    package = Path(__file__).resolve().parent
    installed = package / "_data" / name
    return installed if installed.is_dir() else package.parent / name


def names(model: type[BaseModel] = Settings, prefix: str = PREFIX) -> Iterator[str]:
    """The environment variables that can be set, as `CODER_SECTION__FIELD`."""
    for name, field in model.model_fields.items():
        yield f"{prefix}{name.upper()}"
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            yield from names(field.annotation, f"{prefix}{name.upper()}__")


def _refuse_unknown(environment: Mapping[str, str]) -> None:
    """Pydantic ignores misspelt variables; an operator would look for the mistake for hours."""
    known = set(names()) | OTHER_NAMES
    unknown = sorted(name for name in environment if name.startswith(PREFIX) and name.upper() not in known)
    if unknown:
        raise ConfigError(f"unknown setting {unknown[0]} in the environment; `coder config` lists the names")


def _machine_defaults(settings: Settings) -> Settings:
    """What this machine's other programs are told by its environment: certificates, proxy, Docker, GitHub's token."""
    sandbox = settings.sandbox
    bundle = os.environ.get("SSL_CERT_FILE")
    changes: dict[str, Any] = {}
    if sandbox.docker_host is None and (host := os.environ.get("DOCKER_HOST")):
        changes["docker_host"] = host
        if sandbox.docker_certs is None and os.environ.get("DOCKER_TLS_VERIFY"):
            # As Docker's own client does: it is set together with the address.
            changes["docker_certs"] = os.environ.get("DOCKER_CERT_PATH") or str(Path.home() / ".docker")
    if sandbox.ca_bundle is None and bundle and Path(bundle).is_file():
        changes["ca_bundle"] = bundle
    if sandbox.proxy == ProxySettings():
        proxy = {key: os.environ.get(key) or os.environ.get(key.upper()) for key in ProxySettings.model_fields}
        changes["proxy"] = ProxySettings(**proxy)
    github = settings.github
    token = os.environ.get("GITHUB_TOKEN") or os.environ.get("GH_TOKEN")
    if github.token is None and github.app_id is None and token:
        github = github.model_copy(update={"token": SecretStr(token)})
    return settings.model_copy(update={"sandbox": sandbox.model_copy(update=changes), "github": github})
