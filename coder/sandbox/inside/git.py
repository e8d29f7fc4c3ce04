"""Running git inside the sandbox, with nothing of its behaviour left to what a command could have configured."""

from __future__ import annotations

import os
import subprocess
from contextlib import suppress

GIT_TIMEOUT_S = 300
PATH = "/usr/local/bin:/usr/bin:/bin"
FIXED = (
    "core.hooksPath=/dev/null",
    "core.fsmonitor=false",
    "core.autocrlf=false",
    "core.safecrlf=false",
    "core.quotePath=true",
    "core.symlinks=true",
    "core.protectHFS=true",
    "core.protectNTFS=true",
    "core.compression=1",
    "gc.auto=0",
    "advice.detachedHead=false",
    "advice.addEmbeddedRepo=false",
    "submodule.recurse=false",
    "diff.noprefix=false",
    "diff.mnemonicPrefix=false",
    "apply.whitespace=nowarn",
)


class RepositoryError(Exception):
    """Git refused; the message is its own."""


class Git:
    """Git on the work tree `root` with its repository in the folder `private`."""

    def __init__(self, root: str, private: str) -> None:
        self.root = root
        self._private = private

    def inside(self, name: str) -> str:
        """The path of `name` in the private folder."""
        return os.path.join(self._private, name)

    def incoming_pack(self, commit: str) -> str:
        """Where the pack of `commit` is to be put before it is loaded."""
        folder = self.inside("objects/pack")
        os.makedirs(folder, exist_ok=True)
        return os.path.join(folder, f"pack-{commit}.pack")

    def forget(self, name: str) -> None:
        """Remove a file of the private folder, if it is there."""
        with suppress(FileNotFoundError):
            os.unlink(self.inside(name))

    def __call__(
        self,
        *args: str,
        index: str = "index",
        stdin: bytes = b"",
        accepted: tuple[int, ...] = (0,),
        timeout_s: float = GIT_TIMEOUT_S,
        magic: bool = False,
    ) -> bytes:
        """What `git args…` prints; `index` names the index file it works on. Without `magic`, paths mean themselves."""
        self.forget(f"{index}.lock")
        argv = ["git"]
        for setting in FIXED:
            argv += ["-c", setting]
        more = {"GIT_INDEX_FILE": self.inside(index), "GIT_LITERAL_PATHSPECS": "0" if magic else "1"}
        return self.run([*argv, *args], stdin=stdin, accepted=accepted, env=more, timeout_s=timeout_s)

    def run(
        self,
        argv: list[str],
        *,
        stdin: bytes = b"",
        accepted: tuple[int, ...] = (0,),
        env: dict[str, str] | None = None,
        timeout_s: float = GIT_TIMEOUT_S,
    ) -> bytes:
        """What a program prints that must end with one of the `accepted` exit codes."""
        whole = {
            "PATH": PATH,
            "HOME": "/nonexistent",
            "LC_ALL": "C",
            "GIT_DIR": self._private,
            "GIT_WORK_TREE": self.root,
            "GIT_CONFIG_GLOBAL": "/dev/null",
            "GIT_CONFIG_NOSYSTEM": "1",
            "GIT_ATTR_NOSYSTEM": "1",
            "GIT_NO_REPLACE_OBJECTS": "1",
            "GIT_TERMINAL_PROMPT": "0",
            **(env or {}),
        }
        encoded = [item.encode("utf-8", "surrogateescape") for item in argv]
        try:
            done = subprocess.run(  # noqa: PLW1510  (the exit code is judged below)
                encoded, cwd=self.root, env=whole, input=stdin, capture_output=True, timeout=timeout_s
            )
        except subprocess.TimeoutExpired:
            raise RepositoryError(f"{argv[0]} did not end within {timeout_s:g} s") from None
        if done.returncode not in accepted:
            words = " ".join(word for word in argv if "=" not in word and word != "-c")
            message = done.stderr.decode("utf-8", "replace").strip()[-2000:]
            raise RepositoryError(f"`{words[:200]}` ended with {done.returncode}: {message}")
        return done.stdout
