"""The list of system calls: complete, without overlaps, and as the engine takes it."""

import json
from pathlib import Path

from coder.sandbox import seccomp

KERNEL = Path(__file__).parents[1] / "data" / "syscalls-6.1.txt"


def test_every_call_of_the_kernel_is_decided_on_once() -> None:
    allowed, denied = seccomp.names(seccomp.ALLOWED), seccomp.names(seccomp.DENIED)
    everything = [*allowed, *denied, *seccomp.CONDITIONAL]

    assert set(KERNEL.read_text().split()) - set(everything) == set()
    assert len(everything) == len(set(everything))


def test_only_what_is_allowed_is_in_the_profile() -> None:
    profile = json.loads(seccomp.profile())

    passing = {name for rule in profile["syscalls"] if rule["action"] == "SCMP_ACT_ALLOW" for name in rule["names"]}

    assert profile["defaultAction"] == "SCMP_ACT_ERRNO"
    assert passing == {*seccomp.names(seccomp.ALLOWED), *seccomp.CONDITIONAL}
    assert passing.isdisjoint(seccomp.names(seccomp.DENIED))


def test_calls_with_conditions_never_pass_without_one() -> None:
    rules = json.loads(seccomp.profile())["syscalls"]

    conditional = [rule for rule in rules if set(rule["names"]) & set(seccomp.CONDITIONAL)]

    assert len(conditional) == 4 + len(seccomp.FAMILIES) + len(seccomp.PERSONALITIES)
    assert all(rule["args"] and len(rule["names"]) == 1 for rule in conditional)
