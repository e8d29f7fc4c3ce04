"""Profiles: every file in configs/models loads; bad ones are refused with file and field."""

from pathlib import Path

import pytest

from coder.errors import ConfigError, ModelError
from coder.model.profile import Prices
from coder.model.profiles import EFFORTS, load_profile, profile_names, read_profile, with_overrides
from coder.rounds import at_effort
from coder.types import Limits, RepoRef, Task, Usage

SHIPPED = Path(__file__).parents[2] / "configs" / "models"
GOOD = """
model = "m"
route = "hosted_vllm"
api_base = "http://127.0.0.1:1/v1"
api_key_env = "KEY"
window_tokens = 1000
max_output_tokens = 100
[prices]
input = 1
cached_input = 0.5
output = 2
"""


def test_every_shipped_profile_loads_or_says_why_it_is_retired() -> None:
    for name in profile_names([SHIPPED]):
        profile = read_profile(SHIPPED / f"{name}.toml")
        assert profile.name == name
        if profile.retired is None:
            assert load_profile(name, [SHIPPED]) == profile
        else:
            with pytest.raises(ModelError, match=r"is retired.*use "):
                load_profile(name, [SHIPPED])


def test_the_promised_profiles_are_there_and_usable() -> None:
    for name in (
        "kimi-k2-thinking",
        "kimi-k2-thinking-turbo",
        "kimi-k2-thinking-cometapi",
        "kimi-k2-thinking-turbo-cometapi",
        "kimi-k2-thinking-vllm",
        "kimi-k2-thinking-sglang",
        "kimi-k2.6",
        "kimi-k2.7-code",
        "gpt-5",
        "gpt-5-responses",
        "claude-sonnet-4-5",
        "deepseek-v3.2",
        "openai-compatible",
    ):
        load_profile(name, [SHIPPED])


def test_a_successor_that_a_retired_profile_names_is_a_profile() -> None:
    retired = [read_profile(SHIPPED / f"{name}.toml").retired for name in profile_names([SHIPPED])]

    named = [
        word for text in retired if text for word in text.replace(",", " ").split() if word in profile_names([SHIPPED])
    ]
    assert "kimi-k2.7-code" in named


def test_the_first_folder_wins(tmp_path: Path) -> None:
    (tmp_path / "gpt-5.toml").write_text(GOOD)

    assert load_profile("gpt-5", [tmp_path, SHIPPED]).model == "m"


@pytest.mark.parametrize("name", ["nothing", "../models/gpt-5", "", "gpt-5.toml"])
def test_an_unknown_name_lists_the_known_ones(name: str) -> None:
    with pytest.raises(ConfigError, match=r"there are: .*gpt-5"):
        load_profile(name, [SHIPPED])


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (GOOD.replace("model = ", "modle = "), r"bad\.toml: mod"),
        (GOOD + "outputs = 3\n", r"bad\.toml: prices\.outputs"),
        (GOOD.replace('"hosted_vllm"', '"bedrock"'), r"bad\.toml: route"),
        (GOOD.replace("input = 1", "input = -1", 1), r"bad\.toml: prices\.input"),
        (GOOD.replace("http://", "ftp://"), r"bad\.toml: api_base"),
        (GOOD.replace("= 100\n", "= 1000\n"), r"bad\.toml: max_output_tokens"),
        ("thinking_budget_tokens = 100\n" + GOOD, r"bad\.toml: thinking_budget_tokens"),
        ('name = "x"\n' + GOOD, r"bad\.toml: name"),
        ("model = ", r"bad\.toml: "),
        ("\udcff", r"bad\.toml: "),
    ],
)
def test_a_wrong_field_is_named_with_its_file(text: str, words: str, tmp_path: Path) -> None:
    (tmp_path / "bad.toml").write_bytes(text.encode("utf-8", "surrogateescape"))

    with pytest.raises(ConfigError, match=words):
        load_profile("bad", [tmp_path])


def test_overrides_change_what_they_name_and_are_checked() -> None:
    profile = load_profile("kimi-k2-thinking", [SHIPPED])

    changed = with_overrides(profile, api_base="http://10.0.0.1/v1", model="mine")

    assert (changed.api_base, changed.model, changed.prices) == ("http://10.0.0.1/v1", "mine", profile.prices)
    with pytest.raises(ConfigError, match="api_base"):
        with_overrides(profile, api_base="10.0.0.1")


def test_cost_counts_cached_written_and_output_tokens_at_their_own_prices() -> None:
    prices = Prices(input=3, cached_input=0.3, cache_write=3.75, output=15)
    usage = Usage(prompt_tokens=1000, cached_tokens=600, cache_write_tokens=300, completion_tokens=10)

    assert prices.cost_usd(usage) == pytest.approx((100 * 3 + 600 * 0.3 + 300 * 3.75 + 10 * 15) / 1e6)


LIVING = [name for name in profile_names([SHIPPED]) if read_profile(SHIPPED / f"{name}.toml").retired is None]


@pytest.mark.parametrize("name", LIVING)
def test_one_effort_decides_on_thought_steps_rounds_and_attempts(name: str) -> None:
    efforts = [load_profile(f"{name}@{effort}", [SHIPPED]) for effort in EFFORTS]

    low, *_, most = efforts
    assert {one.name for one in efforts} == {name}
    assert [one.max_steps for one in efforts] == [100, 200, None, None]
    assert [one.max_rounds for one in efforts] == [1, 2, 3, 5]
    assert [one.attempts for one in efforts] == [1, 1, 1, 3]
    thought = [(one.thinking_budget_tokens or one.max_output_tokens, one.reasoning_effort) for one in (low, most)]
    assert thought[0] != thought[1]
    assert low.max_output_tokens <= most.max_output_tokens


def test_an_effort_changes_how_long_a_model_thinks() -> None:
    claude = [load_profile(f"claude-sonnet-4-5@{effort}", [SHIPPED]).thinking_budget_tokens for effort in EFFORTS]
    gpt = [load_profile(f"gpt-5@{effort}", [SHIPPED]).reasoning_effort for effort in EFFORTS]
    kimi = [load_profile(f"kimi-k2-thinking@{effort}", [SHIPPED]).max_output_tokens for effort in EFFORTS]

    assert claude == [2048, 4096, 8192, 32000]
    assert gpt == ["low", "medium", "high", "high"]
    assert kimi == [16384, 24576, 32768, 49152]


@pytest.mark.parametrize(("name", "says"), [("gpt-5@huge", "no effort 'huge'"), ("nobody@low", "no model profile")])
def test_an_unknown_effort_is_refused(name: str, says: str) -> None:
    with pytest.raises(ConfigError, match=says):
        load_profile(name, [SHIPPED])


@pytest.mark.parametrize(("effort", "cap", "steps"), [("low", 300, 100), ("low", 50, 50), ("max", 300, 300)])
def test_an_effort_never_gives_more_steps_than_the_runs_limit(effort: str, cap: int, steps: int) -> None:
    task = Task(
        run_id="r",
        repo=RepoRef(owner="o", name="r"),
        kind="prompt",
        requested_by="ann",
        requested_at="2026-01-01T00:00:00Z",
        model=f"gpt-5@{effort}",
        limits=Limits(max_steps=cap),
    )

    assert at_effort(task, load_profile(task.model, [SHIPPED])).limits == Limits(max_steps=steps)
