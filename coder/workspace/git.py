"""Runs git: the one place that starts it on repositories of ours.

The environment is built from nothing, so that no setting of the operator, the machine or a repository's owner reaches a
call; credentials travel in it and nowhere else (argv, URLs and configuration files are readable by others or outlive us).
"""

import os
import re
import resource
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from coder.errors import RemoteRefusedError, WorkspaceError

if TYPE_CHECKING:  # `coder map` runs git too, and does not wait for the libraries behind our types
    from coder.types import Remote

SHA = re.compile(r"(?:[0-9a-f]{40}|[0-9a-f]{64})\Z")
BRANCH = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.+@-]*(?:/[A-Za-z0-9_][A-Za-z0-9_.+@-]*)*\Z")
MAX_BRANCH = 200
MIN_SECRET = 8  # a shorter one would eat ordinary words out of messages
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
PLUMBING_TIMEOUT_S = 120.0
NETWORK_TIMEOUT_S = 900.0
MORE_TRIES = 2
"""How often a call to a remote that failed is made again at once: a job whose one call fails begins anew."""
_UNAUTHORIZED = re.compile(r"could not read Username|Authentication failed|returned error: 401")
_REFUSED = re.compile(rf"{_UNAUTHORIZED.pattern}|returned error: (?:410|451)|\[(?:remote )?rejected\]")
"""What the far side says no to for good: credentials, rules and hooks of a branch, what is gone or blocked by law."""
_NOT_NOW = re.compile(r"returned error: (?:3\d\d|403|404)|[Rr]epository .*not found|not appear to be a git repository")
"""No use to ask again at once; some seconds later it may be, as limits and what was just made look the same from here."""
PATH = "/usr/local/bin:/usr/bin:/bin:/usr/local/sbin:/usr/sbin:/sbin"

# The far side of a local remote is somebody's checkout: what its configuration would run there is switched off.
_FAR_SIDE = (
    "git -c core.hooksPath=/dev/null -c core.fsmonitor=false -c core.alternateRefsCommand=: "
    "-c receive.autogc=false -c gc.auto=0"
)
RECEIVE_PACK = f"--receive-pack={_FAR_SIDE} receive-pack"
UPLOAD_PACK = f"--upload-pack={_FAR_SIDE} upload-pack"

_SETTINGS = {
    "core.hooksPath": "/dev/null",
    "core.fsmonitor": "false",
    "core.attributesFile": "/dev/null",
    "core.protectHFS": "true",
    "core.protectNTFS": "true",
    "core.autocrlf": "false",
    "core.quotePath": "true",
    "core.commitGraph": "false",
    "credential.helper": "",
    "gc.auto": "0",
    "maintenance.auto": "false",
    "fetch.recurseSubmodules": "false",
    "push.recurseSubmodules": "no",
    "submodule.recurse": "false",
    "http.followRedirects": "false",
    "http.lowSpeedLimit": "1000",
    "http.lowSpeedTime": "60",
    "protocol.version": "2",
    "transfer.credentialsInUrl": "die",
    "commit.gpgSign": "false",
    "push.gpgSign": "false",
    "apply.whitespace": "nowarn",
    "pack.threads": "2",
}


@dataclass(frozen=True, slots=True)
class Finished:
    """A git call that ended. `stderr` has no secrets of ours."""

    exit_code: int
    stdout: bytes
    stderr: str

    @property
    def reason(self) -> str:
        """The most telling line of stderr."""
        lines = [line.strip() for line in self.stderr.splitlines() if line.strip()]
        for telling in ("!", ("fatal:", "error:")):  # what became of a branch says more than that something failed
            for line in lines:
                if line.startswith(telling):
                    return line[:300]
        return (lines[-1] if lines else f"exit code {self.exit_code}")[:300]

    def error(self, what: str) -> WorkspaceError:
        """A failed call to a remote as an error of ours; `what` is the clause before the reason."""
        kind = RemoteRefusedError if _REFUSED.search(self.stderr) else WorkspaceError
        return kind(f"{what}: {self.reason}")


class Git:
    """Starts git with an environment of ours.

    `http_hosts` (`host` or `host:port`) are the only ones spoken to without TLS. `ca_bundle` is a PEM file for
    HTTPS; `proxies` are environment variables (`https_proxy`, …) that calls to the network get.
    """

    def __init__(
        self,
        *,
        http_hosts: frozenset[str] = frozenset(),
        ca_bundle: Path | None = None,
        proxies: Mapping[str, str] | None = None,
        trust_owner: Path | None = None,
    ) -> None:
        self._http_hosts = http_hosts
        self._ca_bundle = ca_bundle
        self._proxies = dict(proxies or {})
        self._trust_owner = trust_owner
        """A configuration file of ours for local remotes, whose far side drops configuration in the environment."""

    def run(
        self,
        args: Sequence[str],
        *,
        git_dir: Path | None = None,
        stdin: bytes | None = None,
        env: Mapping[str, str] | None = None,
        timeout_s: float = PLUMBING_TIMEOUT_S,
        memory_mb: int | None = None,
        max_bytes: int | None = None,
    ) -> Finished:
        """Run git without a network; a non-zero exit is a result.

        `memory_mb` caps the address space, for input that a stranger made; `max_bytes` what it may print.

        Raises:
            WorkspaceError: Git is missing, did not end in time or printed too much.
        """
        environment = self._environment(git_dir, _SETTINGS) | dict(env or {}) | {"GIT_ALLOW_PROTOCOL": "none"}
        limits = _Limits(timeout_s, memory_mb, max_bytes)
        return _execute(args, environment, stdin, limits=limits, secrets=())

    def output(
        self,
        args: Sequence[str],
        *,
        git_dir: Path | None = None,
        stdin: bytes | None = None,
        env: Mapping[str, str] | None = None,
        timeout_s: float = PLUMBING_TIMEOUT_S,
        max_bytes: int | None = None,
    ) -> bytes:
        """What git printed, which is at most `max_bytes`.

        Raises:
            WorkspaceError: It failed; says which command and why.
        """
        finished = self.run(args, git_dir=git_dir, stdin=stdin, env=env, timeout_s=timeout_s, max_bytes=max_bytes)
        if finished.exit_code != 0:
            raise WorkspaceError(f"git {_verb(args)} failed: {finished.reason}")
        return finished.stdout

    def talk(
        self,
        args: Sequence[str],
        remote: "Remote",
        *,
        git_dir: Path | None = None,
        timeout_s: float = NETWORK_TIMEOUT_S,
    ) -> Finished:
        """Run git against `remote`, with its credential for its URL and no other; a non-zero exit is a result.

        What fails over the network is done again: every call of ours that is done twice is done once. What the remote
        says no to is not, but once with a new credential, where it takes the old one no more and there is another.

        Raises:
            WorkspaceError: The remote is not one that we speak to, git is missing, or it did not end in time.
        """
        limits, tries = _Limits(timeout_s), 0 if remote.local else MORE_TRIES
        environment, secrets = self._abroad(git_dir, remote)
        finished = _execute(args, environment, None, limits=limits, secrets=secrets)
        old, renewed = remote.authorization, remote.renewed
        if old and renewed and finished.exit_code != 0 and _UNAUTHORIZED.search(finished.stderr):
            environment, secrets = self._abroad(git_dir, replace(remote, authorization=renewed()))
            finished = _execute(args, environment, None, limits=limits, secrets=secrets)
        while finished.exit_code != 0 and tries > 0 and not _answered(finished.stderr):
            tries -= 1
            finished = _execute(args, environment, None, limits=limits, secrets=secrets)
        return finished

    def _abroad(self, git_dir: Path | None, remote: "Remote") -> tuple[dict[str, str], tuple[str, ...]]:
        """The environment of calls to `remote`, and what of it nobody may read."""
        scheme = self._scheme(remote)
        settings = dict(_SETTINGS)
        secrets: tuple[str, ...] = ()
        if remote.authorization is not None and not remote.local:
            if _CONTROL.search(remote.authorization):
                raise WorkspaceError("the credential for git holds a control character: check the configured token")
            settings[f"http.{remote.url}.extraHeader"] = f"Authorization: {remote.authorization}"
            secrets = (remote.authorization, *remote.authorization.split()[1:])
        environment = self._environment(git_dir, settings) | {"GIT_ALLOW_PROTOCOL": scheme}
        if remote.local and self._trust_owner is not None:
            environment["GIT_CONFIG_GLOBAL"] = str(self._trust_owner)
        if not remote.local:
            environment |= self._proxies
            if self._ca_bundle is not None:
                environment["GIT_SSL_CAINFO"] = str(self._ca_bundle)
        return environment, secrets

    def _scheme(self, remote: "Remote") -> str:
        if not remote.local and (" " in remote.url or _CONTROL.search(remote.url)):
            raise WorkspaceError("the remote's URL holds a blank or a control character")
        if remote.local:
            if not remote.url.startswith("/") or "\0" in remote.url:
                raise WorkspaceError(f"a local remote needs an absolute path, not {remote.url!r}")
            return "file"
        parts = urlsplit(remote.url)
        if parts.username is not None or parts.password is not None:
            raise WorkspaceError(f"the URL of the remote at {parts.hostname} carries a credential: take it out")
        if parts.scheme == "https" and parts.hostname:
            return "https"
        if parts.scheme == "http" and ({parts.netloc, parts.hostname} & self._http_hosts):
            return "http"
        raise WorkspaceError(
            f"git speaks https only, not {parts.scheme or 'a path'} to {parts.hostname or remote.url!r}"
        )

    @staticmethod
    def _environment(git_dir: Path | None, settings: Mapping[str, str]) -> dict[str, str]:
        environment = {
            "PATH": PATH,
            "LC_ALL": "C",
            "LANGUAGE": "C",
            "HOME": "/nonexistent",
            "XDG_CONFIG_HOME": "/nonexistent",
            "GIT_CONFIG_GLOBAL": "/dev/null",
            "GIT_CONFIG_SYSTEM": "/dev/null",
            "GIT_CONFIG_NOSYSTEM": "1",
            "GIT_ATTR_NOSYSTEM": "1",
            "GIT_TERMINAL_PROMPT": "0",
            "GIT_ASKPASS": "",
            "GIT_SSH_COMMAND": "false",
            "GIT_OPTIONAL_LOCKS": "0",
            "GIT_NO_REPLACE_OBJECTS": "1",
            "GIT_NO_LAZY_FETCH": "1",
            "GIT_PROTOCOL_FROM_USER": "0",
            "GIT_CONFIG_COUNT": str(len(settings)),
        }
        for index, (key, value) in enumerate(settings.items()):
            environment[f"GIT_CONFIG_KEY_{index}"] = key
            environment[f"GIT_CONFIG_VALUE_{index}"] = value
        if git_dir is not None:
            environment["GIT_DIR"] = str(git_dir)
        return environment


def _answered(stderr: str) -> bool:
    """Whether the remote was reached and said no."""
    return (_REFUSED.search(stderr) or _NOT_NOW.search(stderr)) is not None


def checked_sha(value: str) -> str:
    """`value`, which is a full object id.

    Raises:
        WorkspaceError: It is not: abbreviations, refs and options are refused.
    """
    if not SHA.match(value):
        raise WorkspaceError(f"not a full object id: {value[:80]!r}")
    return value


def checked_branch(value: str) -> str:
    """`value`, which is a safe branch name (letters, digits, `._+@-` and slashes).

    Raises:
        WorkspaceError: It is not.
    """
    bad = ".." in value or "@{" in value or len(value) > MAX_BRANCH
    if bad or not BRANCH.match(value) or any(part.endswith((".lock", ".")) for part in value.split("/")):
        raise WorkspaceError(f"not a safe branch name: {value[:80]!r}")
    return value


def _verb(args: Sequence[str]) -> str:
    return next((arg for arg in args if not arg.startswith("-")), "")


@dataclass(frozen=True, slots=True)
class _Limits:
    """Of one call."""

    timeout_s: float
    memory_mb: int | None = None
    max_bytes: int | None = None


def _execute(
    args: Sequence[str],
    environment: Mapping[str, str],
    stdin: bytes | None,
    *,
    limits: _Limits,
    secrets: Sequence[str],
) -> Finished:
    """Run git in a session of its own; when time is up the whole session is killed, helpers included."""
    binary = shutil.which("git", path=PATH) or shutil.which("git")
    if binary is None:
        raise WorkspaceError("git is not installed: install the package `git`")
    with tempfile.TemporaryDirectory(prefix="coder-git-") as cwd, ExitStack() as stack:
        # Where there is a limit it prints into a file: the kernel then ends it where it goes too far.
        file = None if limits.max_bytes is None else stack.enter_context(Path(cwd, "stdout").open("w+b"))
        process = subprocess.Popen(
            [binary, "--no-pager", *args],
            env=dict(environment),
            cwd=cwd,
            stdin=subprocess.DEVNULL if stdin is None else subprocess.PIPE,
            stdout=subprocess.PIPE if file is None else file,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )
        with process:
            # Before the input is written, so before git has seen any of it.
            if limits.memory_mb is not None:
                resource.prlimit(process.pid, resource.RLIMIT_AS, (limits.memory_mb << 20, limits.memory_mb << 20))
            if limits.max_bytes is not None:
                resource.prlimit(process.pid, resource.RLIMIT_FSIZE, (limits.max_bytes, limits.max_bytes))
            try:
                stdout, stderr = process.communicate(stdin, timeout=limits.timeout_s)
            except subprocess.TimeoutExpired as exc:
                raise WorkspaceError(f"git {_verb(args)} did not end within {limits.timeout_s:.0f} s") from exc
            finally:
                if process.poll() is None:
                    os.killpg(process.pid, signal.SIGKILL)
        if file is not None:
            file.seek(0)
            stdout = file.read()
        # A short output may be through before the limit is set.
        if process.returncode == -signal.SIGXFSZ or len(stdout) > (limits.max_bytes or len(stdout)):
            raise WorkspaceError(f"git {_verb(args)} prints more than {limits.max_bytes} bytes")
    return Finished(process.returncode, stdout, _redacted(stderr.decode("utf-8", "replace"), secrets))


def _redacted(text: str, secrets: Sequence[str]) -> str:
    for secret in secrets:
        if len(secret) >= MIN_SECRET:
            text = text.replace(secret, "[redacted]")
    text = re.sub(r"(?i)(authorization:\s*)\S.*", r"\1[redacted]", text)
    return re.sub(r"(?i)(https?://)[^/\s@]+@", r"\1[redacted]@", text)
