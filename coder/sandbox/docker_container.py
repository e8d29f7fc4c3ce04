"""What a sandbox's container is allowed: the host configuration, and the environment of its commands."""

from typing import Literal

import docker
from docker.types import LogConfig, Ulimit

from coder.sandbox import seccomp
from coder.sandbox.config import SandboxSettings
from coder.types import JsonObject

Phase = Literal["agent", "setup"]

USER = "1000:1000"
WORKSPACE = "/workspace"
HOME = "/home/coder"
PRIVATE = "/run/coder"
KEPT = "/opt/coder"
"""What a setup phase leaves in the image: the virtual environment, module caches, artefacts of the work tree."""
CERTIFICATES = "/tmp/coder-ca-bundle.crt"  # noqa: S108  (a tmpfs of the container)
MIB = 1 << 20

COMMON_ENV = {
    "PATH": f"{KEPT}/venv/bin:{KEPT}/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    "HOME": HOME,
    "USER": "coder",
    # With these two a shell starts in a sixth less time: it need not look its user up, and of the locale's twelve parts
    # this one alone differs from the default.
    "SHELL": "/bin/bash",
    "LC_CTYPE": "C.UTF-8",
    "TERM": "dumb",
    "PYTHONDONTWRITEBYTECODE": "1",
    "GOMODCACHE": f"{KEPT}/go/mod",
    "GOCACHE": "/tmp/go-build",  # noqa: S108
    "GOTOOLCHAIN": "local",
    "CARGO_HOME": f"{KEPT}/cargo",
    "BUNDLE_PATH": f"{KEPT}/bundle",
    "GRADLE_USER_HOME": f"{KEPT}/gradle",
    "MAVEN_OPTS": f"-Dmaven.repo.local={KEPT}/m2",
    "CI": "1",
}
OFFLINE_ENV = {
    # There is no network: have package managers say so at once instead of retrying for minutes.
    "PIP_NO_INDEX": "1",
    "GOPROXY": "off",
    "npm_config_offline": "true",
    "CARGO_NET_OFFLINE": "true",
}
SCRATCH = "/var/tmp"  # noqa: S108
"""On disk, not in memory, while a setup phase runs; emptied at its end."""
SETUP_ENV = {
    # Downloads are large, and the temporary file systems are memory.
    "TMPDIR": SCRATCH,
    "XDG_CACHE_HOME": f"{SCRATCH}/coder-cache",
    "npm_config_cache": f"{SCRATCH}/coder-npm",
    "npm_config_store_dir": f"{SCRATCH}/coder-pnpm",
    "YARN_CACHE_FOLDER": f"{SCRATCH}/coder-yarn",
    "COMPOSER_HOME": f"{SCRATCH}/coder-composer",
    "PUPPETEER_SKIP_DOWNLOAD": "1",
}
CERTIFICATE_VARIABLES = (
    "SSL_CERT_FILE",
    "PIP_CERT",
    "REQUESTS_CA_BUNDLE",
    "CURL_CA_BUNDLE",
    "NODE_EXTRA_CA_CERTS",
    "GIT_SSL_CAINFO",
    "CARGO_HTTP_CAINFO",
    "BUNDLE_SSL_CA_CERT",
    "COMPOSER_CAFILE",
)


def environment(phase: Phase, settings: SandboxSettings) -> dict[str, str]:
    """The whole environment of a command."""
    if phase == "agent":
        return COMMON_ENV | OFFLINE_ENV
    certificates = dict.fromkeys(CERTIFICATE_VARIABLES, CERTIFICATES) if settings.ca_bundle else {}
    options = settings.proxy.java_options()
    java = {"JAVA_TOOL_OPTIONS": options} if options else {}
    day = settings.packages_before
    # uv and npm have these; pip, where uv fails, from version 26 on.
    dated = dict.fromkeys(("UV_EXCLUDE_NEWER", "npm_config_before", "PIP_UPLOADED_PRIOR_TO"), f"{day}T00:00:00Z")
    return COMMON_ENV | SETUP_ENV | settings.proxy.environment() | certificates | java | (dated if day else {})


def tmpfs(settings: SandboxSettings) -> dict[str, str]:
    """The only writable places while the model works. Docker adds `noexec` unless told otherwise."""
    sizes = {
        WORKSPACE: settings.workspace_mb,
        "/tmp": settings.tmp_mb,  # noqa: S108
        HOME: settings.home_mb,
        PRIVATE: settings.repository_mb,
    }
    modes = {"/tmp": "1777", PRIVATE: "0700"}  # noqa: S108
    return {
        path: f"rw,exec,nosuid,nodev,size={size}m,nr_inodes={settings.inodes},"
        f"uid=1000,gid=1000,mode={modes.get(path, '0755')}"
        for path, size in sizes.items()
    }


def host_config(api: docker.APIClient, phase: Phase, settings: SandboxSettings) -> JsonObject:
    """Limits and isolation. The setup phase differs in two things: it has the network and a writable root."""
    memory = settings.memory_mb * MIB
    config: JsonObject = api.create_host_config(
        auto_remove=True,
        cap_drop=["ALL"],
        security_opt=["no-new-privileges:true", f"seccomp={seccomp.profile()}"],
        read_only=phase == "agent",
        tmpfs=tmpfs(settings),
        mem_limit=memory,
        memswap_limit=memory,
        pids_limit=settings.pids,
        nano_cpus=int(settings.cpus * 1e9),
        ulimits=[Ulimit(name="core", soft=0, hard=0)],
        network_mode="none" if phase == "agent" else "bridge",
        ipc_mode="private",
        log_config=LogConfig(type="none", config={}),
        init=False,
        runtime=settings.runtime,
    )
    # The SDK has no name for it. Kernels have known it since 4.6, engines of API 1.41 also with version 1 cgroups.
    config["CgroupnsMode"] = "private"
    return config
