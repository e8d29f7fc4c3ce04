"""The host's end of the conversation, against runners that lie, stall or die."""

import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator

import pytest

from coder.errors import SandboxError, SandboxRepositoryError
from coder.sandbox.inside.frames import LENGTHS, MAX_HEADER_BYTES, FrameError, encoded, received
from coder.sandbox.inside.output import Ring
from coder.sandbox.protocol import Image
from coder.sandbox.runner_sandbox import RunnerSandbox
from coder.sandbox.session import RunnerSession, SocketStream


@pytest.fixture
def pair() -> Iterator[tuple[socket.socket, socket.socket]]:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        yield ours, theirs


def sandbox_over(sock: socket.socket) -> RunnerSandbox:
    session = RunnerSession(SocketStream(sock), "fake")
    return RunnerSandbox(session, Image("i", "d"), output_bytes=100, max_diff_bytes=100, end=lambda: None)


HOSTILE = {
    "end": b"",
    "end in a length": b"\0\0",
    "end in a header": LENGTHS.pack(50, 0) + b"{}",
    "end in a body": LENGTHS.pack(8, 50) + b'{"id":1}' + b"xx",
    "huge header": LENGTHS.pack(MAX_HEADER_BYTES + 1, 0),
    "huge body": LENGTHS.pack(2, 0xFFFFFFFF) + b"{}",
    "not json": LENGTHS.pack(2, 0) + b"{]",
    "not an object": LENGTHS.pack(2, 0) + b"[]",
    "not utf-8": LENGTHS.pack(2, 0) + b"\xff\xfe",
    "deep": LENGTHS.pack(200_000, 0) + b"[" * 200_000,
    "another id": encoded({"id": 7}),
    "no id": encoded({}),
    "no fields": encoded({"id": 1}),
    "wrong types": encoded({"id": 1, "status": "0", "total": "x", "head": None, "duration_s": []}),
    "unknown error": encoded({"id": 1, "error": "SystemExit", "message": "x"}),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_whatever_comes_back_is_a_sandbox_error(pair: tuple[socket.socket, socket.socket], name: str) -> None:
    ours, theirs = pair
    theirs.sendall(HOSTILE[name])
    theirs.shutdown(socket.SHUT_WR)

    with pytest.raises(SandboxError):
        sandbox_over(ours).exec("true", timeout_s=1)


def test_silence_ends_at_the_deadline(pair: tuple[socket.socket, socket.socket]) -> None:
    session = RunnerSession(SocketStream(pair[0]), "fake")

    with pytest.raises(SandboxError, match="does not answer"):
        session.request("list", {}, timeout_s=0.05)
    with pytest.raises(SandboxError, match="does not answer"):
        session.request("list", {}, timeout_s=60)


def test_a_trickle_ends_at_the_deadline_too(pair: tuple[socket.socket, socket.socket]) -> None:
    ours, theirs = pair
    stop = threading.Event()

    def trickle() -> None:
        theirs.sendall(struct.pack("!II", 1000, 0))
        while not stop.wait(0.01):
            theirs.sendall(b" ")

    feeder = threading.Thread(target=trickle)
    feeder.start()
    started = time.monotonic()
    try:
        with pytest.raises(SandboxError):
            RunnerSession(SocketStream(ours), "fake").request("list", {}, timeout_s=0.2)
    finally:
        stop.set()
        feeder.join()
    assert time.monotonic() - started < 60


def test_what_git_says_is_told_as_far_as_it_helps(pair: tuple[socket.socket, socket.socket]) -> None:
    ours, theirs = pair
    message = "could not open " + "d/" * 3000 + ": File name too long"
    theirs.sendall(encoded({"id": 1, "error": "RepositoryError", "message": message}))

    with pytest.raises(SandboxRepositoryError, match=r"cannot checkpoint: could not open d/.* … .*too long$") as told:
        RunnerSession(SocketStream(ours), "fake").request("checkpoint", {}, timeout_s=5)

    assert len(str(told.value)) < 1100


def test_failures_of_file_operations_keep_their_class(pair: tuple[socket.socket, socket.socket]) -> None:
    ours, theirs = pair
    sandbox = sandbox_over(ours)
    theirs.sendall(encoded({"id": 1, "error": "FileNotFoundError", "message": "no x"}))
    theirs.sendall(encoded({"id": 2, "error": "ValueError", "message": "outside"}))

    with pytest.raises(FileNotFoundError, match="no x"):
        sandbox.read("x")
    with pytest.raises(ValueError, match="outside"):
        sandbox.write("x", b"")


def test_frames_carry_any_name() -> None:
    data = encoded({"path": "roh-\udcff\u00e9\n"}, 3) + b"abc"
    taken = 0

    def read_exactly(size: int) -> bytes:
        nonlocal taken
        taken += size
        return data[taken - size : taken]

    assert received(read_exactly) == ({"path": "roh-\udcff\u00e9\n"}, 3)
    assert data[taken:] == b"abc"


def test_a_frame_that_claims_too_much_is_refused_before_it_is_read() -> None:
    with pytest.raises(FrameError, match="claims"):
        received(lambda _: LENGTHS.pack(MAX_HEADER_BYTES + 1, 0))


@pytest.mark.parametrize("chunk", [1, 3, 7, 1000])
@pytest.mark.parametrize("length", [0, 5, 10, 11, 20, 5000])
def test_a_ring_keeps_head_and_tail(chunk: int, length: int) -> None:
    data = bytes(index % 251 for index in range(length))
    ring = Ring(10)

    for start in range(0, length, chunk):
        ring.add(data[start : start + chunk])

    head, tail = ring.parts
    assert ring.total == length
    assert head + tail == (data if length <= 10 else data[:5] + data[-5:])


LIES: dict[str, tuple[str, bytes, bytes]] = {
    "a list that is none": ("processes", encoded({"id": 1, "processes": "x"}), b""),
    "no list": ("processes", encoded({"id": 1}), b""),
    "a process that is none": ("processes", encoded({"id": 1, "processes": [{"name": "x"}, 7]}), b""),
    "a process of wrong types": (
        "processes",
        encoded({"id": 1, "processes": [{"name": [], "command": {}, "running": "maybe", "exit_code": "x"}]}),
        b"",
    ),
    "processes that survive": ("logs", encoded({"id": 1, "error": "OSError", "message": "survive"}), b""),
    "logs of nothing": ("logs", encoded({"id": 1}), b""),
    "no tree": ("snapshot", encoded({"id": 1, "left_out": []}), b""),
    "nothing said of what is left out": ("snapshot", encoded({"id": 1, "tree": "t"}), b""),
    "a diff that is no text": ("snapshot", encoded({"id": 1, "tree": "t", "left_out": []}, 2), b"\xff\xfe"),
}


@pytest.mark.parametrize("name", LIES)
def test_an_answer_that_makes_no_sense_is_a_sandbox_error(pair: tuple[socket.socket, socket.socket], name: str) -> None:
    ours, theirs = pair
    op, header, body = LIES[name]
    theirs.sendall(header + body)
    sandbox = sandbox_over(ours)
    asked: dict[str, Callable[[], object]] = {
        "processes": sandbox.background.processes,
        "logs": lambda: sandbox.background.logs("x"),
        "snapshot": lambda: sandbox.snapshot("known"),
    }

    with pytest.raises(SandboxError):
        asked[op]()


def test_a_tree_that_did_not_change_needs_no_diff(pair: tuple[socket.socket, socket.socket]) -> None:
    ours, theirs = pair
    theirs.sendall(encoded({"id": 1, "tree": "same", "left_out": []}))

    assert sandbox_over(ours).snapshot("same") is None
