"""Whom the model client talks to: the profile's `api_base`, and nobody else."""

import json
import subprocess
import sys
from pathlib import Path

from tests.servers.model import ModelServer
from tests.servers.model_turns import Turn, call

ROOT = Path(__file__).parents[2]
PROGRAM = """
import json, sys
seen = []
def hear(event, args):
    if event == "socket.connect":
        seen.append(list(args[1]) if isinstance(args[1], tuple) else str(args[1]))
    elif event == "socket.getaddrinfo":
        seen.append([str(args[0]), args[1]])
sys.addaudithook(hear)
from pathlib import Path
from coder.model.litellm_client import LitellmClient
from coder.model.profiles import read_profile, with_overrides
from coder.model.protocol import CompletionRequest
from coder.types import Message, ToolSpec
read = ToolSpec(name="read", description="Read.", parameters={"type": "object", "properties": {}})
name, base = sys.argv[1:]
with LitellmClient(with_overrides(read_profile(Path(name)), api_base=base), "key-0123456789") as model:
    model.warm_up()
    done = model.complete(CompletionRequest((Message(role="user", content="hi"),), (read,), 2000, 30, "run"))
print(json.dumps([done.message.tool_calls[0].name, seen]))
"""


def test_nobody_is_talked_to_but_the_api_base() -> None:
    for name in ("kimi-k2-thinking-vllm", "deepseek-v3.2", "gpt-5", "claude-sonnet-4-5"):
        with ModelServer([Turn(calls=(call("read", {}),))]) as server:
            base = server.base_url.removesuffix("/v1") if name.startswith("claude") else server.base_url
            port = int(base.partition("://")[2].partition("/")[0].rpartition(":")[2])
            profile = ROOT / "configs" / "models" / f"{name}.toml"
            done = subprocess.run(
                [sys.executable, "-c", PROGRAM, str(profile), base],
                cwd=ROOT,
                capture_output=True,
                text=True,
                check=True,
            )

        called, seen = json.loads(done.stdout.splitlines()[-1])
        assert called == "read"
        assert {tuple(place) for place in seen} == {("127.0.0.1", port)}, name
