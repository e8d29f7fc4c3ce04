"""A way to another machine's Docker socket: the system's `ssh` forwards it to a socket in a folder of ours."""

import subprocess
import tempfile
import time
from pathlib import Path
from urllib.parse import urlsplit

REMOTE_SOCKET = "/var/run/docker.sock"
START_TIMEOUT_S = 60.0
END_TIMEOUT_S = 10.0
POLL_S = 0.02
MAX_REASON_BYTES = 2000


class Tunnel:
    """An `ssh` that forwards; `url` is `ssh://[user@]host[:port][/path/of/socket]`.

    It never asks: keys, known hosts and jumps come from the user's own ssh configuration.

    Raises:
        OSError: There is no `ssh`, or it does not get through; says why in its words. ValueError: The address is none.
    """

    def __init__(self, url: str) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="coder-ssh-")
        self._socket = Path(self._folder.name) / "docker.sock"
        self._said = Path(self._folder.name) / "said"
        self._process: subprocess.Popen[bytes] | None = None
        try:
            with self._said.open("wb") as said:
                self._process = subprocess.Popen(
                    command(url, self._socket), stdin=subprocess.DEVNULL, stdout=said, stderr=said
                )
            self._wait(self._process)
        except BaseException:
            self.close()
            raise

    @property
    def address(self) -> str:
        """Where the engine is to be spoken to."""
        return f"unix://{self._socket}"

    @property
    def alive(self) -> bool:
        """Whether the tunnel still stands."""
        return self._process is not None and self._process.poll() is None

    def close(self) -> None:
        """End it; safe to call twice."""
        if self._process is not None and self._process.poll() is None:
            self._process.terminate()
            try:
                self._process.wait(END_TIMEOUT_S)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
        self._folder.cleanup()

    def _wait(self, process: "subprocess.Popen[bytes]") -> None:
        deadline = time.monotonic() + START_TIMEOUT_S
        while not self._socket.exists():
            if process.poll() is not None or time.monotonic() > deadline:
                said = self._said.read_bytes()[-MAX_REASON_BYTES:].decode("utf-8", "replace").split("\n")
                reason = " ".join(line.strip() for line in said if line.strip())
                raise OSError(f"ssh does not get through: {reason or 'no answer'}")
            time.sleep(POLL_S)


def command(url: str, socket: Path) -> list[str]:
    """The command line of the `ssh` that forwards the engine's socket at `url` to `socket`."""
    parts = urlsplit(url)
    host, user, remote = parts.hostname, parts.username, parts.path
    if not host or host.startswith("-") or (user or "").startswith("-"):
        raise ValueError(f"{url!r} is not an address of the form ssh://user@host")
    options = ["BatchMode=yes", "ExitOnForwardFailure=yes", "ServerAliveInterval=15", "ServerAliveCountMax=4"]
    argv = ["ssh", "-nNT", *(word for option in options for word in ("-o", option))]
    argv += ["-L", f"{socket}:{remote if remote not in {'', '/'} else REMOTE_SOCKET}"]
    if parts.port is not None:
        argv += ["-p", str(parts.port)]
    return [*argv, "--", f"{user}@{host}" if user else host]
