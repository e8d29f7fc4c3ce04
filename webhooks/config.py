"""What an operator says about the service."""

from pathlib import Path
from typing import Self

from pydantic import Field, SecretStr, ValidationError

from coder.errors import ConfigError
from coder.types import JsonObject, Limits, Value
from webhooks.caps import Caps
from webhooks.rules import Labels, Rules


class Scheduled(Value):
    """Work that is asked for by the clock."""

    cron: str = Field(min_length=9, max_length=100)
    """Minute, hour, day of month, month, day of week; UTC."""
    repo: str = Field(pattern=r"^[A-Za-z0-9_.-]{1,100}/[A-Za-z0-9_.-]{1,100}$")
    title: str = Field(min_length=1, max_length=200)
    prompt: str = Field(min_length=1, max_length=60_000)
    requested_by: str = Field(pattern=r"^[A-Za-z0-9-]{1,60}(?:\[bot\])?$")
    """On whose behalf; must have write permission when the time comes."""


class ServiceConfig(Value):
    """The service's settings."""

    host: str = "127.0.0.1"
    port: int = Field(default=8080, ge=0, le=65_535)
    """0 takes a free one."""
    webhook_secret: SecretStr = Field(min_length=8)
    """As entered at GitHub; at least 8 characters, better 32 random ones."""
    api_token: SecretStr | None = Field(default=None, min_length=8)
    """Bearer token for `/runs`. Without one only this machine may ask."""
    label: str = Field(default="coder", min_length=1, max_length=50)
    label_plan: str = Field(default="coder:plan", min_length=1, max_length=50)
    label_auto: str = Field(default="coder:auto", min_length=1, max_length=50)
    label_heavy: str = Field(default="coder:heavy", min_length=1, max_length=50)
    mention: str = Field(default="coder", pattern=r"^[A-Za-z0-9][A-Za-z0-9-]{0,38}$")
    """The handle of `@handle fix` and `/handle fix`."""
    allowed_repos: tuple[str, ...] = ()
    """`owner/name`, `owner/*` or `*`; none allowed is none."""
    allowed_bots: tuple[int, ...] = ()
    """Account ids of bots that may ask."""
    plan_first: bool = False
    """The label and `fix` ask for a plan first."""
    fix_default_branch: bool = False
    """Failed checks of the default branch start a run."""
    dispatch_event: str = Field(default="coder", min_length=1, max_length=100)
    """Event type of `repository_dispatch` that is ours."""
    ceiling_cost_usd: float | None = Field(default=None, gt=0)
    """What a comment may raise a run's dollars to."""
    models: tuple[str, ...] = ()
    """Model profiles that a comment may name."""
    heavy_model: str | None = None
    max_followups: int = Field(default=10, ge=1)
    max_check_followups: int = Field(default=5, ge=0)
    schedule: tuple[Scheduled, ...] = ()
    sweep_minutes: float = Field(default=10.0, ge=0)
    """How often labelled issues are looked for whose webhook was lost; 0 is never."""
    bot_login: str | None = None
    """Our own account, whose events trigger nothing; its name is a handle too."""
    bot_id: int | None = None
    state_dir: Path
    """Made when missing; holds the deliveries and, without `database_url`, the jobs."""
    database_url: str | None = None
    """Postgres for the jobs, instead of a SQLite file."""
    executor_id: str = Field(default="local", pattern=r"^[A-Za-z0-9_-]{1,64}$")
    """Unique among the worker processes of one database."""
    concurrency: int = Field(default=2, ge=1, le=64)
    """Runs at the same time; never two of one repository."""
    drain_s: float = Field(default=30.0, ge=0)
    """How long a stop waits for running jobs before it hands them back."""
    max_runs_per_day_per_repo: int = Field(default=1000, ge=1)
    """Runs within 24 hours; what people without permission asked for is not counted."""
    max_runs_per_day_per_sender: int = Field(default=500, ge=1)
    """Runs within 24 hours that one person may ask for, in all repositories together."""
    retention_days: int = Field(default=30, ge=1)
    """How long deliveries and finished jobs are kept; journals are not touched."""
    model: str
    """Name of the model profile that runs use."""
    limits: Limits = Limits()

    @classmethod
    def read(cls, values: JsonObject) -> Self:
        """The settings in `values`.

        Raises:
            ConfigError: One does not fit; the message says which, and never what a secret is.
        """
        try:
            return cls.model_validate(values)
        except ValidationError as exc:
            problems = "; ".join(
                f"{'.'.join(map(str, one['loc']))}: {one['msg']}" for one in exc.errors(include_input=False)
            )
            raise ConfigError(f"the section [service] does not fit: {problems}") from exc

    def caps(self) -> Caps:
        """How much may be asked for."""
        return Caps(per_repo=self.max_runs_per_day_per_repo, per_sender=self.max_runs_per_day_per_sender)

    def rules(self) -> Rules:
        """What the triggers need of this."""
        return Rules(
            labels=Labels(fix=self.label, plan=self.label_plan, auto=self.label_auto, heavy=self.label_heavy),
            mention=self.mention,
            allowed_repos=self.allowed_repos,
            model=self.model,
            models=self.models,
            heavy_model=self.heavy_model,
            limits=self.limits,
            ceiling_cost_usd=self.ceiling_cost_usd,
            plan_first=self.plan_first,
            fix_default_branch=self.fix_default_branch,
            dispatch=self.dispatch_event,
            max_followups=self.max_followups,
            max_check_followups=self.max_check_followups,
            own_id=self.bot_id,
            own_login=self.bot_login,
            allowed_bots=self.allowed_bots,
        )
