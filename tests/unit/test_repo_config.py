"""`.coder.yml`: what it may say, and what is said of a wrong one."""

from pathlib import Path

import pytest

from coder.errors import InputError
from coder.policy import Policy
from coder.repo_config import MAX_BYTES, RepoConfig, repo_config
from coder.sandbox.environment import known_services
from coder.sandbox.images import catalogue, default_folder
from coder.types import Limits
from coder.workspace.policy import PatchRules


def test_without_a_file_everything_is_as_the_operator_says() -> None:
    assert repo_config({"README.md": b"x"}) == RepoConfig()
    assert repo_config({".coder.yml": b"# nothing yet\n"}) == RepoConfig()


def test_a_text_stands_for_a_list_of_one() -> None:
    config = repo_config({".github/coder.yml": b"setup: pip install -e .\nservices: redis\n"})
    assert config.setup == ("pip install -e .",)
    assert config.services == ("redis",)


def test_the_first_file_counts() -> None:
    files = {".github/coder.yml": b"test: second\n", ".coder.yml": b"test: first\n"}
    assert repo_config(files).test == "first"


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (b"tests: pytest\n", "tests: Extra inputs"),
        (b"- a\n", "file: Input should be"),
        (b"setup: [a\n", "is not YAML"),
        (b"\xff", "is not YAML in UTF-8"),
        (b"services: ['../x']\n", "services.0"),
        (b"limits: {max_cost_usd: -1}\n", "limits.max_cost_usd"),
        (b"a: &a [x, *a]\n", ".coder.yml"),
        (b"[" * 5_000, ".coder.yml"),
        (b"#" * (MAX_BYTES + 1), "more than"),
        (b"!!python/object/apply:os.system [id]\n", "is not YAML"),
    ],
)
def test_a_wrong_file_is_told_by_name_and_field(text: bytes, says: str) -> None:
    with pytest.raises(InputError, match=r"\.coder\.yml") as caught:
        repo_config({".coder.yml": text})
    assert says in str(caught.value)


def test_limits_are_only_lowered() -> None:
    config = repo_config({".coder.yml": b"limits: {max_cost_usd: 1, max_steps: 9999}\n"})
    limits = config.limits.within(Limits(max_cost_usd=5, max_steps=300))
    assert (limits.max_cost_usd, limits.max_steps) == (1, 300)


def test_the_annotated_example_says_everything_that_can_be_said() -> None:
    text = (Path(__file__).parents[2] / "docs" / "coder.yml").read_bytes()

    config = repo_config({".coder.yml": text})

    assert config.model_fields_set == set(RepoConfig.model_fields)
    assert known_services(catalogue(default_folder()), config.services) == ("postgres", "redis")


def test_the_operators_rules_win_and_patch_rules_only_grow() -> None:
    config = repo_config({".coder.yml": b"setup: a\ntest: b\nprotected: x\nblocked: y\n"})

    theirs = config.policy(Policy(setup=(), test_command="mine", patch=PatchRules(blocked=("z",))))
    ours = config.policy(Policy())

    assert (theirs.setup, theirs.test_command, theirs.patch.blocked) == ((), "mine", ("z", "y"))
    assert (ours.setup, ours.test_command, ours.patch.protected[-1]) == (("a",), "b", "x")
    assert set(Policy().patch.protected) <= set(ours.patch.protected)
