"""The program that a sandbox runs: `coder.sandbox.inside`, sent over its standard input.

Nothing is baked into images and nothing is mounted: any image with a `python3` will do, also on a remote engine.
"""

import importlib.resources
import json
from collections.abc import Mapping

PACKAGE = "coder.sandbox.inside"
MODULES = ("frames", "files", "output", "background", "process", "git", "staging", "repository", "serve")
"""In the order in which they import one another."""
BOOT = """\
import os, sys
size, text = int(sys.argv[1]), b""
while len(text) < size:
    part = os.read(0, size - len(text))
    if not part:
        sys.exit(1)
    text += part
exec(text)
"""
LOAD = """\
import json, sys, types
for name, text in json.loads({modules!r}):
    module = sys.modules[name] = types.ModuleType(name)
    exec(compile(text, name, "exec"), module.__dict__)
module.main({config!r})
"""


def program(*, root: str, private: str, artefacts: str, env: Mapping[str, str]) -> bytes:
    """The whole program, configured.

    `root` is the work tree, `private` the runner's own git folder, `artefacts` where a setup phase leaves what belongs
    into the work tree, `env` the whole environment of commands.
    """
    folder = importlib.resources.files(PACKAGE)
    modules = [(f"{PACKAGE}.{name}", folder.joinpath(f"{name}.py").read_text("utf-8")) for name in MODULES]
    config = {"root": root, "private": private, "artefacts": artefacts, "env": dict(env)}
    return LOAD.format(modules=json.dumps(modules), config=config).encode("utf-8")


def argv(python: str, size: int) -> list[str]:
    """The command line (isolated, without site packages, unbuffered); it expects a program of `size` bytes first."""
    return [python, "-I", "-S", "-u", "-c", BOOT, str(size)]
