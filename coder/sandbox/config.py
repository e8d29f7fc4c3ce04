"""Settings of the sandbox section."""

import re
from urllib.parse import urlsplit

from pydantic import Field, field_validator, model_validator

from coder.sandbox.egress_rules import is_pattern
from coder.sandbox.protocol import SandboxLimits
from coder.types import Value


class ProxySettings(Value):
    """Proxy addresses, passed to image builds and to the setup phase, never to where the model acts."""

    http_proxy: str | None = None
    https_proxy: str | None = None
    no_proxy: str | None = None

    def environment(self) -> dict[str, str]:
        """The variables that programs look for, in both spellings."""
        given = {"http_proxy": self.http_proxy, "https_proxy": self.https_proxy, "no_proxy": self.no_proxy}
        lower = {name: value for name, value in given.items() if value}
        return lower | {name.upper(): value for name, value in lower.items()}

    def java_options(self) -> str:
        """The same for Java, which reads no such variables: options for `JAVA_TOOL_OPTIONS`; empty without a proxy."""
        found = []
        for scheme, address in (("http", self.http_proxy), ("https", self.https_proxy)):
            given = address or ""
            parts = urlsplit(given if "//" in given or not given else f"http://{given}")
            if parts.hostname:
                found += [f"-D{scheme}.proxyHost={parts.hostname}", f"-D{scheme}.proxyPort={parts.port or 80}"]
            if parts.username:
                found += [f"-D{scheme}.proxyUser={parts.username}", f"-D{scheme}.proxyPassword={parts.password or ''}"]
        if found and self.no_proxy:
            hosts = [f"*{h}" if h.startswith(".") else h for h in re.split(r"[,\s]+", self.no_proxy) if h]
            found.append(f"-Dhttp.nonProxyHosts={'|'.join(hosts)}")
        return " ".join(found)


class SandboxSettings(Value):
    """How sandboxes are made. Sizes are MiB."""

    prewarm: int = Field(default=0, ge=0, le=8)
    """Containers to be kept started in advance, one for each of the images used last; `coder serve` keeps 3 unless this is set."""
    installation: str = Field(default="default", pattern=r"^[A-Za-z0-9_.-]{1,64}$")
    """Names this installation in container labels, so that two on one engine do not sweep each other."""
    docker_host: str | None = None
    """Address of the engine (`unix://…`, `tcp://…`, `ssh://…`); None is the local socket."""
    docker_certs: str | None = None
    """Folder with `ca.pem`, `cert.pem` and `key.pem` for an engine at `tcp://…`; None is no TLS."""
    runtime: str | None = None
    """Container runtime, for instance `runsc` (gVisor); None is the engine's default."""
    base_image: str | None = None
    """A Debian image that all sandbox images are built on; None chooses among those of `images.toml` by what a repository asks for."""
    memory_mb: int = Field(default=4096, ge=256)
    cpus: float = Field(default=2.0, gt=0)
    pids: int = Field(default=512, ge=32)
    workspace_mb: int = Field(default=1536, ge=16)
    tmp_mb: int = Field(default=512, ge=16)
    home_mb: int = Field(default=64, ge=8)
    repository_mb: int = Field(default=384, ge=16)
    """The runner's own git objects: the loaded history and all checkpoints."""
    service_mb: int = Field(default=1024, ge=256)
    """Memory of each server beside a sandbox, half of it for its data."""
    egress_allowed: tuple[str, ...] = ()
    """Hosts (`host.example`, `*.example`) that repositories may name in `.coder.yml` to be reached from sandboxes; none by default."""
    inodes: int = Field(default=400_000, ge=1000)
    """Files per tmpfs."""
    output_bytes: int = Field(default=64 * 1024, ge=1024)
    max_diff_bytes: int = Field(default=64 * 1024 * 1024, ge=1024)
    setup_timeout_s: float = Field(default=1800.0, gt=0)
    """For all commands of a setup phase together."""
    build_timeout_s: float = Field(default=1800.0, gt=0)
    """For one image build."""
    pull_timeout_s: float = Field(default=120.0, gt=0)
    packages_before: str | None = Field(default=None, pattern=r"^\d{4}-\d\d-\d\d$")
    """Setup phases take Python and npm packages as of this day (YYYY-MM-DD): for trying old commits; None is today."""
    ca_bundle: str | None = None
    """File of CA certificates on this machine, passed to image builds and the setup phase (intercepting proxies)."""
    proxy: ProxySettings = ProxySettings()

    @field_validator("egress_allowed")
    @classmethod
    def _names_hosts(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for pattern in value:
            if not is_pattern(pattern):
                raise ValueError(f"{pattern!r} is no host name or pattern of one")
        return value

    @model_validator(mode="after")
    def _memory_suffices(self) -> "SandboxSettings":
        """Files in a tmpfs are memory: what all of them may hold must leave room for the commands and the runner."""
        files_mb = self.workspace_mb + self.tmp_mb + self.home_mb + self.repository_mb
        if files_mb > 0.75 * self.memory_mb:
            message = (
                f"workspace_mb + tmp_mb + home_mb + repository_mb is {files_mb} MiB, more than three quarters of "
                f"memory_mb ({self.memory_mb}): files live in memory; raise memory_mb or lower the others"
            )
            raise ValueError(message)
        return self

    @property
    def limits(self) -> SandboxLimits:
        """The part that the seam knows."""
        return SandboxLimits(
            memory_mb=self.memory_mb,
            cpus=self.cpus,
            pids=self.pids,
            workspace_mb=self.workspace_mb,
            tmp_mb=self.tmp_mb,
            output_bytes=self.output_bytes,
        )
