from pathlib import Path

import pytest

from coder.errors import ForgeError
from coder.forge.local import LocalForge
from tests.contract.test_forge import proposal, result, task

HEAD = "a" * 40


def forge(path: Path) -> LocalForge:
    return LocalForge(path, head=HEAD, branch="main", title="Add is\nwrong", body="It subtracts")


def test_the_problem_is_what_the_user_handed_in(tmp_path: Path) -> None:
    problem = forge(tmp_path).problem(task(kind="prompt", number=None))

    assert (problem.title, problem.body.body, problem.body.trusted) == ("Add is wrong", "It subtracts", True)


def test_base_is_head_and_nothing_else(tmp_path: Path) -> None:
    local = forge(tmp_path)

    assert local.base(task()).sha == HEAD
    assert local.base(task(base_ref="main")).ref == "main"
    with pytest.raises(ForgeError, match="check it out first"):
        local.base(task(base_ref="other"))


def test_a_detached_head_stands_for_itself(tmp_path: Path) -> None:
    local = LocalForge(tmp_path, head=HEAD, branch=None, title="t", body="b")

    assert local.base(task()).ref == HEAD


def test_the_remote_is_the_checkout_without_a_credential(tmp_path: Path) -> None:
    remote = forge(tmp_path).remote(task())

    assert (remote.url, remote.local, remote.authorization) == (str(tmp_path), True, None)


def test_publishing_names_the_branch_and_keeps_the_proposal(tmp_path: Path) -> None:
    local = forge(tmp_path)

    pull = local.publish(task(), proposal(), "b" * 40)
    local.acknowledge(task())
    local.status(task(), "x")
    local.finish(task(), result(pull))

    assert (pull.branch, pull.commit_sha, pull.number, pull.url) == ("coder/issue-1-add", "b" * 40, None, None)
    assert local.proposal == proposal()
    assert local.may_write(task())
