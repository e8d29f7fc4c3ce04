"""Settings of the service, and what it is built of."""

import socket
from pathlib import Path

import pytest
from pydantic import SecretStr

from coder.errors import ConfigError
from coder.types import Followup, JsonObject, Note
from tests.unit.webhooks_payloads import config
from tests.unit.webhooks_situations import TASK
from webhooks.config import ServiceConfig
from webhooks.errors import EngineError, StoreError
from webhooks.outbox import Inbox
from webhooks.service import build, serve_until_stopped
from webhooks.starts import MAX_STARTS, Starts
from webhooks.store import Store
from webhooks.work import Work
from webhooks.worker import PAUSES_S, Underway, on_payload

VALUES: JsonObject = {"webhook_secret": "correct horse", "state_dir": "state", "model": "m"}


def test_the_smallest_settings_allow_nobody() -> None:
    settings = ServiceConfig.read(VALUES)

    assert settings.rules().allowed_repos == ()
    assert "correct horse" not in repr(settings)


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"webhook_secret": "hunter2"}, "webhook_secret"),
        ({"webhook_secret": SecretStr("")}, "webhook_secret"),
        ({"webhook_secret": None}, "webhook_secret"),
        ({"api_token": "hunter2"}, "api_token"),
        ({"port": 70_000}, "port"),
        ({"mention": "two words"}, "mention"),
        ({"mention": "x.*"}, "mention"),
        ({"label": ""}, "label"),
        ({"executor_id": "../x"}, "executor_id"),
        ({"concurrency": 0}, "concurrency"),
        ({"colour": "red"}, "colour"),
    ],
)
def test_a_setting_that_does_not_fit_is_named_and_its_value_is_not(changes: JsonObject, named: str) -> None:
    with pytest.raises(ConfigError, match=rf"\[service\] does not fit: {named}:") as caught:
        ServiceConfig.read(VALUES | changes)

    assert "hunter2" not in str(caught.value)


def test_a_built_service_queues_without_any_runner(tmp_path: Path) -> None:
    service = build(config(tmp_path / "deep" / "state"), None)
    try:
        assert service.engine.list() == ()
        assert (tmp_path / "deep" / "state").stat().st_mode & 0o777 == 0o700
        with pytest.raises(EngineError, match="only submit"):
            serve_until_stopped(service, with_worker=True)
    finally:
        service.close()


def test_a_port_that_is_taken_is_said_before_anything_starts(tmp_path: Path) -> None:
    def never(*_given: object) -> JsonObject:
        raise AssertionError

    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        service = build(config(tmp_path, port=port), never)
        try:
            with pytest.raises(ConfigError, match=f"cannot listen on 127.0.0.1:{port}"):
                serve_until_stopped(service, with_worker=True)
        finally:
            service.close()


def test_a_state_folder_that_cannot_be_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")

    with pytest.raises(ConfigError, match="cannot make the state folder"):
        build(config(tmp_path / "file" / "state"), None)


@pytest.mark.parametrize(("name", "error"), [("jobs.db", EngineError), ("deliveries.db", StoreError)])
def test_a_broken_database_is_said(tmp_path: Path, name: str, error: type[Exception]) -> None:
    (tmp_path / name).write_bytes(b"this is no database" * 100)

    with pytest.raises(error, match="database"):
        build(config(tmp_path), None)


def test_a_database_address_that_is_none_is_said(tmp_path: Path) -> None:
    for url in ("nonsense", "postgresql://user:hunter2@127.0.0.1:1/x"):
        with pytest.raises(EngineError) as caught:
            build(config(tmp_path, database_url=url), None)
        assert "hunter2" not in str(caught.value)


GITHUB_IS_AWAY: JsonObject = {"ok": False, "passes": True}


@pytest.mark.parametrize(
    ("results", "paused"),
    [
        ([{"ok": True}], []),
        ([{"ok": False, "passes": False}], []),
        ([{"ok": False}], []),
        ([GITHUB_IS_AWAY, {"ok": True}], [*PAUSES_S[:1]]),
        ([GITHUB_IS_AWAY] * 4, [*PAUSES_S]),
    ],
    ids=["well", "no key", "a mistake of ours", "away for a moment", "away"],
)
def test_what_may_pass_is_tried_again(tmp_path: Path, results: list[JsonObject], paused: list[float]) -> None:
    left, pauses = list(results), list[float]()
    store = Store(tmp_path / "deliveries.db")
    run = on_payload(lambda *_: left.pop(0), store, Underway(), pause=pauses.append)

    result = run(Work(task=TASK).model_dump(mode="json"))

    assert (result, left, pauses) == (results[-1], [], paused)
    store.close()


@pytest.mark.parametrize("when", ["before the pause", "in the pause"])
@pytest.mark.parametrize("what", ["stopped", "given to another worker"])
def test_what_was_stopped_or_is_anothers_is_not_tried_again(tmp_path: Path, what: str, when: str) -> None:
    store = Store(tmp_path / "deliveries.db")
    stop = Followup(id="comment-1", kind="stop", note=Note(author="mona", body="/coder stop"))
    underway = Underway()
    calls: list[str] = []

    def end() -> None:
        if what == "stopped":
            Inbox(store.database).put(TASK.run_id, stop, created_at="2026")
        else:
            underway.lose(TASK.run_id)

    def work(*_: object) -> JsonObject:
        calls.append("work")
        if when == "before the pause":
            end()
        return GITHUB_IS_AWAY

    def pause(_: float) -> None:
        calls.append("pause")
        end()

    run = on_payload(work, store, underway, pause=pause)

    assert run(Work(task=TASK).model_dump(mode="json")) == GITHUB_IS_AWAY
    assert calls == (["work"] if when == "before the pause" else ["work", "pause"])
    store.close()


def test_a_stop_ends_no_job_that_is_added_later(tmp_path: Path) -> None:
    store = Store(tmp_path / "deliveries.db")
    notes = [Note(author="mona", body="x", created_at=f"2026-01-0{day}T00:00:00Z") for day in (3, 4)]
    stop, more = (
        Followup(id=f"comment-{n}", kind=k, note=note)
        for n, k, note in zip((1, 2), ("stop", "continue"), notes, strict=True)
    )
    Inbox(store.database).put(TASK.run_id, stop, created_at="2026")
    left = [GITHUB_IS_AWAY, {"ok": True}]
    run = on_payload(lambda *_: left.pop(0), store, Underway(), pause=lambda _: None)

    assert run(Work(task=TASK, followup=more).model_dump(mode="json")) == {"ok": True}
    store.close()


def test_a_run_that_gets_on_is_begun_again_however_often_the_service_is_killed(tmp_path: Path) -> None:
    store = Store(tmp_path / "deliveries.db")
    journal: list[str] = []
    starts = Starts(store.database, lambda _: len(journal))
    for _ in range(3 * MAX_STARTS):
        assert starts.begin(TASK.run_id)
        journal.append("an answer")
    run = on_payload(lambda *_: {"ok": True}, store, Underway(), length=lambda _: len(journal))

    assert run(Work(task=TASK).model_dump(mode="json")) == {"ok": True}
    store.close()


def test_a_run_that_takes_its_worker_down_at_one_place_is_given_up_and_may_be_tried_again(tmp_path: Path) -> None:
    store = Store(tmp_path / "deliveries.db")
    starts = Starts(store.database, lambda _: 7)
    run = on_payload(lambda *_: {"ok": True}, store, Underway(), length=lambda _: 7)
    payload = Work(task=TASK).model_dump(mode="json")
    for _ in range(MAX_STARTS):
        assert starts.begin(TASK.run_id)

    given_up, again = run(payload), run(payload)

    assert given_up["kind"] == "poison"
    assert "without getting on" in given_up["error"]
    assert again == {"ok": True}
    store.close()


def test_a_job_that_hangs_after_it_was_lost_takes_no_containers_from_its_runs_next_job() -> None:
    run, other = TASK.run_id, "gh9-9-0123456789abcdef"
    underway = Underway()
    for job in (run, f"{run}.comment-1", other):
        underway.begin(job)

    hangs = [underway.lose(run), underway.lose(run)]
    alone = [underway.lose(other), underway.lose(other)]
    underway.end(f"{run}.comment-1")

    assert (hangs, alone) == ([False, False], [True, False])
    assert underway.is_lost(run)
