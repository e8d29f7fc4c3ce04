"""The client itself: what a call may cost, and its slow import."""

import subprocess
import sys
from pathlib import Path

import pytest

from coder.errors import ModelError
from coder.model.litellm_client import LitellmClient
from coder.model.profiles import read_profile, with_overrides
from coder.model.protocol import CompletionRequest
from coder.types import Message
from tests.servers.model import ModelServer
from tests.servers.model_turns import Turn, fault

ROOT = Path(__file__).parents[2]
PROFILE = read_profile(ROOT / "configs" / "models" / "kimi-k2-thinking.toml")
OPENING = (Message(role="user", content="hi"),)
OK = Turn(content="ok")


@pytest.mark.parametrize("turn", [fault("server"), Turn(content="", reasoning="hm")], ids=["failed", "empty"])
def test_no_attempt_is_made_that_could_pass_what_the_call_may_cost(turn: Turn) -> None:
    request = CompletionRequest(OPENING, (), 4000, 600, "run-1", max_cost_usd=0.001)  # 4000 tokens cost more

    with ModelServer([turn, OK]) as server:
        profile = with_overrides(PROFILE, api_base=server.base_url)
        with LitellmClient(profile, "key-of-the-model", sleep=lambda _: None) as model:
            if turn.fault is None:
                assert not model.complete(request).message.content
            else:
                with pytest.raises(ModelError, match="max_cost_usd"):
                    model.complete(request)

    assert server.count == 1


def test_warming_up_beside_the_first_call_does_not_meet_half_a_package() -> None:
    program = (
        "import threading\n"
        "from coder.model.litellm_client import _litellm\n"
        "failed = []\n"
        "threading.excepthook = lambda args: failed.append(args.exc_value)\n"
        "threads = [threading.Thread(target=_litellm) for _ in range(4)]\n"
        "[t.start() for t in threads]\n"
        "[t.join() for t in threads]\n"
        "print(failed)\n"
    )

    shown = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True, cwd=ROOT)

    assert shown.stdout.strip() == "[]"
