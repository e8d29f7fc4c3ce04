"""What the real container is allowed: seen from the engine, and tried from inside."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import docker
import pytest

from coder.errors import SandboxError
from coder.sandbox import seccomp
from coder.sandbox.docker_backend import DockerSandbox, DockerSandboxProvider
from coder.sandbox.docker_container import host_config
from tests.contract.sandbox_support import committed, docker_backend, settings

pytestmark = pytest.mark.docker


@pytest.fixture(scope="module")
def sandbox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DockerSandbox]:
    pack = committed(tmp_path_factory.mktemp("origin"))
    with docker_backend() as (provider, image), provider.open(image, pack, labels={"run": "hardening"}) as opened:
        yield opened


@pytest.fixture(scope="module")
def seen(sandbox: DockerSandbox) -> dict[str, Any]:
    client = docker.APIClient(version="auto")
    try:
        found: dict[str, Any] = client.inspect_container(sandbox.container)
    finally:
        client.close()
    return found


def test_the_engine_was_asked_for_isolation(seen: dict[str, Any]) -> None:
    host = seen["HostConfig"]

    assert host["CapDrop"] == ["ALL"]
    assert not host["CapAdd"]
    assert host["SecurityOpt"] == ["no-new-privileges:true", f"seccomp={seccomp.profile()}"]
    assert host["ReadonlyRootfs"] is True
    assert host["Privileged"] is False
    assert host["NetworkMode"] == "none"
    assert host["IpcMode"] == "private"
    assert host["PidMode"] == ""
    assert host["CgroupnsMode"] == "private"
    assert host["LogConfig"]["Type"] == "none"
    assert host["AutoRemove"] is True
    assert seen["Mounts"] == []
    assert not host["Binds"]
    assert not host["Devices"]
    assert seen["Config"]["User"] == "1000:1000"
    assert seen["Config"]["StdinOnce"] is True


def test_the_engine_was_asked_for_limits(seen: dict[str, Any]) -> None:
    host = seen["HostConfig"]
    expected = settings()

    assert host["Memory"] == host["MemorySwap"] == expected.memory_mb << 20
    assert host["PidsLimit"] == expected.pids
    assert host["NanoCpus"] == int(expected.cpus * 1e9)
    assert [(limit["Name"], limit["Hard"]) for limit in host["Ulimits"]] == [("core", 0)]
    assert set(host["Tmpfs"]) == {"/workspace", "/tmp", "/home/coder", "/run/coder"}
    assert all("size=" in options and "nr_inodes=" in options for options in host["Tmpfs"].values())


def test_the_container_is_named_for_the_sweep(seen: dict[str, Any]) -> None:
    labels = seen["Config"]["Labels"]

    assert labels["coder.run"] == "hardening"
    assert labels["coder.installation"] == "coder-tests"
    assert labels["coder.owner"]


def test_nothing_of_the_host_is_in_the_environment(sandbox: DockerSandbox, seen: dict[str, Any]) -> None:
    inside = sandbox.exec("env | cut -d= -f1 | sort", timeout_s=10).output.split()

    assert not [name for name in inside if re.search(r"(?i)https?_proxy|token|key|secret|password", name)]
    assert not [entry for entry in seen["Config"]["Env"] or [] if not entry.startswith("PATH=")]


PROBES = {
    "user": ("id -u; id -g; whoami; grep -c Groups: /proc/self/status", "1000\n1000\ncoder\n1\n"),
    "capabilities": ("grep -E '^Cap(Prm|Eff|Bnd|Amb)' /proc/self/status | grep -vc 0000000000000000", "0\n"),
    "no new privileges": ("grep NoNewPrivs /proc/self/status | tr -d '\\t'", "NoNewPrivs:1\n"),
    "seccomp": ("grep '^Seccomp:' /proc/self/status | tr -d '\\t'", "Seccomp:2\n"),
    "writable places": (
        "for d in / /etc /usr /opt /opt/coder /var/tmp /root /run /home; do touch $d/x 2>/dev/null && echo $d; done; true",
        "",
    ),
    "places that must be writable": ("touch ~/x /tmp/x /workspace/x && rm ~/x /tmp/x /workspace/x", ""),
    "programs run from the workspace": ("printf '#!/bin/sh\\necho ran\\n' > p && chmod +x p && ./p && rm p", "ran\n"),
    "mount": ("mount -t tmpfs x /tmp 2>/dev/null; test $? -ne 0", ""),
    "namespaces": ("unshare -Ur true 2>/dev/null; test $? -ne 0", ""),
    "docker socket": ("ls /var/run/docker.sock /run/docker.sock 2>/dev/null | wc -l", "0\n"),
    "set-user-id programs": ("su -c id root </dev/null >/dev/null 2>&1; test $? -ne 0", ""),
    "who goes when memory runs out": (
        # The runner takes its own score back a moment after the command has started.
        (
            "for i in $(seq 99); do grep -qx 0 /proc/1/oom_score_adj && break; sleep 0.1; done; "
            "cat /proc/self/oom_score_adj /proc/1/oom_score_adj"
        ),
        "1000\n0\n",
    ),
    "core dumps": ("ulimit -c", "0\n"),
    "devices": ("mknod d b 8 0 2>/dev/null; test ! -e d && test ! -e /dev/sda && test ! -e /dev/vda", ""),
    "kernel settings": ("echo 1 2>/dev/null > /proc/sys/kernel/core_pattern; test $? -ne 0", ""),
}


@pytest.mark.parametrize("name", PROBES)
def test_from_inside(sandbox: DockerSandbox, name: str) -> None:
    command, expected = PROBES[name]

    result = sandbox.exec(command, timeout_s=20)

    assert (result.output, result.exit_code) == (expected, 1 if expected == "0\n" and "grep -vc" in command else 0)


CALLS = {
    # Number on x86-64 and arguments that a kernel which lets the call through answers with something else, if only an error.
    "io_uring_setup": (425, 1, 0),
    "bpf": (321, 0, 0, 0),
    "userfaultfd": (323, 1),
    "perf_event_open": (298, 0, 0, -1, -1, 0),
    "add_key": (248, 0, 0, 0, 0, 0),
    "keyctl": (250, 0, -3, 0),
    "unshare": (272, 0x10000000),
    "unshare of files": (272, 0x400),
    "clone of a user namespace": (56, 0x10000011, 0, 0, 0, 0),
    "setns": (308, -1, 0),
    "mount": (165, 0, 0, 0, 0, 0),
    "open_tree": (428, -1, 0, 0),
    "fsopen": (430, 0, 0),
    "chroot": (161, 0),
    "pidfd_getfd": (438, -1, 0, 0),
    "process_vm_readv of itself": (310, 2, 0, 0, 0, 0, 0),
    "process_vm_writev": (311, 1, 0, 0, 0, 0, 0),
    "kcmp": (312, 1, 1, 0, 0, 0),
    "personality": (135, 0x40000),
    "modify_ldt": (154, 0, 0, 0),
    "open_by_handle_at": (304, -1, 0, 0),
    "ptrace: attach to the runner": (101, 16, 1, 0, 0),
    "ptrace: seize the runner": (101, 0x4206, 1, 0, 0),
    "socket of a virtual machine's host": (41, 40, 1, 0),
    "socket of the kernel's ciphers": (41, 38, 5, 0),
    "raw packets": (41, 17, 3, 0),
    "limits of another": (302, 1, 7, 0, 0),
    "limits of another, hidden in the upper half": (302, (1 << 32) + 1, 7, 0, 0),
    "priority of another": (141, 0, 1, 19),
    "priority of everybody": (141, 2, 0, 19),
    "idle policy of another": (144, 1, 5, 0),
    "attributes of another": (314, 1, 0, 0),
}


def test_system_calls_that_nobody_needs_are_refused(sandbox: DockerSandbox) -> None:
    program = f"""
import ctypes, errno, os
libc = ctypes.CDLL(None, use_errno=True)
for name, call in {CALLS!r}.items():
    done = libc.syscall(*map(ctypes.c_long, call))
    if done == 0 and call[0] == 56:
        os._exit(0)
    print(name, "passes" if done >= 0 else errno.errorcode[ctypes.get_errno()])
libc.syscall(ctypes.c_long(435), ctypes.c_long(0), ctypes.c_long(0))
print("clone3", errno.errorcode[ctypes.get_errno()])
"""
    sandbox.write("calls.py", program.encode())

    result = sandbox.exec("python3 calls.py", timeout_s=20)

    assert result.output.splitlines() == [*(f"{name} EPERM" for name in CALLS), "clone3 ENOSYS"]


def test_a_runtime_of_choice_is_asked_for() -> None:
    api = docker.APIClient(version="auto")
    try:
        config = host_config(api, "agent", settings(runtime="runsc"))
    finally:
        api.close()

    assert config["Runtime"] == "runsc"
    assert not config.get("Binds")


def test_a_runtime_that_the_engine_lacks_is_named(sandbox: DockerSandbox, tmp_path: Path) -> None:
    pack = committed(tmp_path)
    with (
        DockerSandboxProvider(settings(runtime="no-such-runtime")) as provider,
        pytest.raises(SandboxError, match="no-such-runtime"),
    ):
        provider.open(sandbox.image, pack, labels={"run": "runtime"})
