"""One installation's pace, whatever tokens its clients have."""

import threading
from pathlib import Path

import pytest

from coder.errors import ForgeError
from coder.forge.github_pace import Paces


class Clock:
    """Time that only passes when somebody sleeps."""

    def __init__(self) -> None:
        self.now = 100.0
        self.slept: list[float] = []

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def paces(clock: Clock) -> Paces:
    return Paces(1.0, sleep=clock.sleep, clock=lambda: clock.now)


@pytest.fixture
def processes(clock: Clock, tmp_path: Path) -> tuple[Paces, Paces]:
    """What a web process and a worker have."""
    shared = {"folder": tmp_path / "pace", "sleep": clock.sleep, "clock": lambda: clock.now}
    return Paces(1.0, process="web", **shared), Paces(1.0, process="worker", **shared)  # type: ignore[arg-type]  # of three kinds


def take(paces: Paces, owner: str, token: str) -> None:
    with paces.turn(owner, token):
        pass


def test_clients_of_one_installation_keep_a_second_apart(paces: Paces, clock: Clock) -> None:
    take(paces, "octo", "one")
    clock.now += 0.25
    take(paces, "Octo", "two")

    assert clock.slept == [0.75]


def test_one_client_and_other_installations_wait_for_nobody(paces: Paces, clock: Clock) -> None:
    take(paces, "octo", "one")
    take(paces, "octo", "one")
    take(paces, "cat", "two")

    assert clock.slept == []


def test_a_failure_ends_its_turn(paces: Paces, clock: Clock) -> None:
    with pytest.raises(ValueError, match="no"), paces.turn("octo", "one"):
        raise ValueError("no")

    take(paces, "octo", "two")
    assert clock.slept == [1.0]


def test_turns_of_one_installation_never_overlap() -> None:
    paces, inside, most = Paces(0.0), 0, 0
    lock = threading.Lock()

    def work() -> None:
        nonlocal inside, most
        for _ in range(50):
            with paces.turn("octo", "one"):
                with lock:
                    inside += 1
                    most = max(most, inside)
                with lock:
                    inside -= 1

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=30)

    assert most == 1


def test_two_processes_keep_a_second_apart_and_one_waits_for_nobody(
    processes: tuple[Paces, Paces], clock: Clock
) -> None:
    web, worker = processes
    take(web, "octo", "one")
    take(web, "octo", "one")
    clock.now += 0.25
    take(worker, "Octo", "one")
    take(worker, "cat", "one")

    assert clock.slept == [0.75]


def test_a_process_waits_while_another_one_has_its_turn(processes: tuple[Paces, Paces]) -> None:
    web, worker = processes
    with web.turn("octo", "one"), pytest.raises(ForgeError, match="octo does not come to an end"):
        take(worker, "octo", "one")

    take(worker, "octo", "one")


@pytest.mark.parametrize("text", ["", "web", "web later\n", "web 1e300\n", "\0\0"])
def test_a_spoilt_file_keeps_nobody_waiting(
    processes: tuple[Paces, Paces], clock: Clock, tmp_path: Path, text: str
) -> None:
    (tmp_path / "pace").mkdir()
    (tmp_path / "pace" / "octo.pace").write_text(text)

    take(processes[1], "octo", "one")

    assert sum(clock.slept) <= 1.0
