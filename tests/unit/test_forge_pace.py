"""One installation's pace, whatever tokens its clients have."""

import threading

import pytest

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
