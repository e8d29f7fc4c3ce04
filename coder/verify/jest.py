"""Jest with its arguments out of sight, for the tests of programs that read them."""

import re
from typing import Final

_RUN: Final = (
    'const j=require.resolve("jest/package.json",{paths:[process.cwd()]});const a=process.argv.slice(1);process.execArgv=[];'
    'process.argv=[process.argv[0],j.replace(/package\\.json$/,"bin/jest.js")];'
    'require(require.resolve("jest-cli",{paths:[j]})).run(a)'
)
_CALL: Final = re.compile(r"((?:\w+=\S*\s+)*)(?:npx\s+)?(jest\b.*)")


def unseen_arguments(call: str, first: str, last: str) -> str:
    """A line of a shell that does what a call of Jest does, with what comes before and behind; empty of any other call.

    In one process, as on a machine of two cores, tests see the arguments of Jest as `process.argv`: a library for command
    lines takes `--json` for an option of its own and ends the process.
    """
    match = _CALL.fullmatch(call)
    if match is None:
        return ""
    return (
        f"""{first}jest() {{ NODE_ENV="${{NODE_ENV:-test}}" node -e '{_RUN}' -- "$@"; }}; {match[1]}{match[2]} {last}"""
    )
