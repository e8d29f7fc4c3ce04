"""What an operator says about the service."""

from pathlib import Path
from typing import Self

from pydantic import Field, SecretStr, ValidationError

from coder.errors import ConfigError
from coder.types import JsonObject, Limits, Value
from webhooks.caps import Caps
from webhooks.triggers import Rules


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
    mention: str = Field(default="coder", pattern=r"^[A-Za-z0-9][A-Za-z0-9-]{0,38}$")
    """The handle of `@handle fix` and `/handle fix`."""
    allowed_repos: tuple[str, ...] = ()
    """`owner/name`, `owner/*` or `*`; none allowed is none."""
    allowed_bots: tuple[int, ...] = ()
    """Account ids of bots that may ask."""
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
            label=self.label,
            mention=self.mention,
            allowed_repos=self.allowed_repos,
            model=self.model,
            limits=self.limits,
            own_id=self.bot_id,
            own_login=self.bot_login,
            allowed_bots=self.allowed_bots,
        )
