"""Streams of events end with the terminal one, whatever happens while they are read."""

import asyncio
import json
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from unittest.mock import patch
from uuid import uuid4

import httpx
import pytest

from app.api import events
from app.api.event_schemas import event_data
from app.api.events import Wakes, job_events, until_terminal
from tests.support.inprocess import npy, running
from tests.support.waiting import until
from worker.contract import (
    Artifact,
    Event,
    EventType,
    FileInfo,
    ImageInfo,
    JobRecord,
    JobRequest,
    Scope,
    State,
)
from worker.ledger.attempt import Attempt
from worker.ledger.database import Database
from worker.ledger.images import Images
from worker.ledger.jobs import Jobs
from worker.ledger.keys import Keyring


def running_job(database: Database) -> Attempt:
    image, _ = Images(database).add(
        image_id=uuid4().hex,
        owner="someone",
        name="image",
        sha256="0" * 64,
        size=1,
        info=FileInfo("npy", (ImageInfo("npy", (9, 9), "uint8"),)),
    )
    job, _ = Jobs(database).submit(JobRequest("someone", image.id, {}))
    attempt = Attempt(database, job.id, 1, "worker")
    assert attempt.claim(60) is not None
    return attempt


async def read(database: Database, job_id: str) -> list[EventType]:
    async with Wakes("redis://127.0.0.1:9").listening(database) as wakes:
        return [event.type async for event in job_events(database, wakes, job_id, 0)]


def test_a_job_that_ends_between_two_looks_is_not_missed(tmp_path: Path) -> None:
    database = Database.open(f"sqlite:///{tmp_path / 'ledger.sqlite'}")
    attempt = running_job(database)
    look = Jobs.events

    def look_then_end(jobs: Jobs, job_id: str, *, after: int = 0) -> list[Event]:
        seen = look(jobs, job_id, after=after)
        if not seen:
            attempt.commit([Artifact("result.npy", "0" * 64, 1)], expires_in_s=60)
        return seen

    with patch.object(Jobs, "events", look_then_end):
        assert asyncio.run(read(database, attempt.job_id))[-1] is EventType.SUCCEEDED
    database.close()


def test_the_stream_of_a_deleted_job_ends(tmp_path: Path) -> None:
    database = Database.open(f"sqlite:///{tmp_path / 'ledger.sqlite'}")
    attempt = running_job(database)
    Jobs(database).cancel(attempt.job_id, owner="someone")
    Jobs(database).delete(attempt.job_id, owner="someone")
    assert asyncio.run(read(database, attempt.job_id)) == []
    database.close()


async def wait_for_two_jobs() -> tuple[bool, bool]:
    wakes = Wakes("redis://127.0.0.1:9")
    waiting = [asyncio.create_task(wakes.news(job_id).wait()) for job_id in ("one", "other")]
    await asyncio.sleep(0)
    wakes._tell("one")
    await waiting[0]
    woken = waiting[0].done(), waiting[1].done()
    waiting[1].cancel()
    return woken


def test_news_of_a_job_wake_those_who_wait_for_it_and_nobody_else() -> None:
    assert asyncio.run(wait_for_two_jobs()) == (True, False)


def test_what_happens_while_a_waiter_looks_wakes_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(events, "POLL", 3600.0)  # nobody looks again unless woken
    database = Database.open(f"sqlite:///{tmp_path / 'ledger.sqlite'}")
    job_id = running_job(database).job_id
    look = Jobs.get

    async def wait() -> JobRecord:
        wakes, loop = Wakes("redis://127.0.0.1:9"), asyncio.get_running_loop()

        def look_then_end(jobs: Jobs, job_id: str, *, owner: str | None = None) -> JobRecord:
            seen = look(jobs, job_id, owner=owner)
            if not seen.state.terminal:
                Jobs(database).cancel(job_id, owner="someone")
                loop.call_soon_threadsafe(wakes._tell, job_id)
            return seen

        with patch.object(Jobs, "get", look_then_end):
            waiting = until_terminal(database, wakes, job_id, owner="someone", seconds=3600)
            return await asyncio.wait_for(waiting, 20)

    assert asyncio.run(wait()).state is State.CANCELED
    database.close()


async def idle_streams(database: Database, count: int, looks: int) -> int:
    """How often the streams of as many running jobs' events ask the ledger while nothing happens.

    Each asks once at first, and once more when the look for all has first seen its job.
    """
    job_id = running_job(database).job_id
    asked, look_for_all = 0, Jobs.latest_events
    looked, events_of = 0, Jobs.events
    done = asyncio.Event()
    loop = asyncio.get_running_loop()

    def counted_events(jobs: Jobs, job_id: str, *, after: int = 0) -> list[Event]:
        nonlocal asked
        asked += 1
        return events_of(jobs, job_id, after=after)

    def counted_looks(jobs: Jobs, job_ids: Sequence[str]) -> dict[str, int]:
        nonlocal looked
        looked += 1
        if looked == looks:
            loop.call_soon_threadsafe(done.set)
        return look_for_all(jobs, job_ids)

    async def follow(wakes: Wakes) -> None:
        async for _ in job_events(database, wakes, job_id, 0):
            pass

    with (
        patch.object(Jobs, "events", counted_events),
        patch.object(Jobs, "latest_events", counted_looks),
    ):
        async with Wakes("redis://127.0.0.1:9").listening(database) as wakes:
            streams = [asyncio.create_task(follow(wakes)) for _ in range(count)]
            await asyncio.wait_for(done.wait(), 60)
            for stream in streams:
                stream.cancel()
            await asyncio.gather(*streams, return_exceptions=True)
    return asked


def test_idle_streams_cost_one_look_for_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(events, "POLL", 0.02)
    database = Database.open(f"sqlite:///{tmp_path / 'ledger.sqlite'}")
    assert asyncio.run(idle_streams(database, count=50, looks=40)) <= 3 * 50
    database.close()


def submitted(client: httpx.Client) -> str:
    return str(client.post("/jobs", files={"file": npy(1)}).json()["id"])


def test_streams_and_polls_have_so_many_places(tmp_path: Path) -> None:
    with running(tmp_path, max_waiting_per_key=2, max_waiting=3) as api, ExitStack() as stack:
        ada, bob, eve = (api.key(name, Scope.SUBMIT, Scope.READ) for name in ("ada", "bob", "eve"))
        clients = [stack.enter_context(api.client(key)) for key in (ada, bob, eve)]
        paths = [f"/jobs/{submitted(client)}" for client in clients]

        def follow(n: int) -> httpx.Response:
            stream = clients[n].stream("GET", f"{paths[n]}/events")
            return stack.enter_context(stream)

        def refused(response: httpx.Response, limit: str) -> None:
            assert response.status_code == 429
            problem = json.loads(response.read())
            assert (problem["code"], problem["limit"]["name"]) == ("too_many_waiting", limit)

        first = follow(0)
        assert [first.status_code, follow(0).status_code] == [200, 200]
        refused(follow(0), "max_waiting_per_key")
        refused(clients[0].get(paths[0], params={"wait": 5}), "max_waiting_per_key")
        assert clients[0].get(paths[0]).status_code == 200
        assert follow(1).status_code == 200
        refused(follow(2), "max_waiting")
        assert clients[0].post(f"{paths[0]}/cancel").status_code == 202
        assert "canceled" in first.read().decode()
        until(lambda: clients[2].get(paths[2], params={"wait": 0.01}).status_code == 200)


@pytest.mark.parametrize("ending", ["revoked", "expired"])
def test_a_stream_and_a_poll_end_with_their_key(tmp_path: Path, ending: str) -> None:
    with running(tmp_path) as api:
        options = {"expires_in_s": 3.0} if ending == "expired" else {}
        record, key = Keyring(api.database).create(
            owner="ada", scopes=[Scope.SUBMIT, Scope.READ], **options
        )
        with api.client(key) as client, ThreadPoolExecutor() as pool:
            path = f"/jobs/{submitted(client)}"
            poll = pool.submit(client.get, path, params={"wait": 30})
            with client.stream("GET", f"{path}/events") as stream:
                lines = stream.iter_lines()
                assert any("queued" in line for line in lines)
                if ending == "revoked":
                    Keyring(api.database).revoke(record.id)
                list(lines)
            assert poll.result().status_code == 401, "it did not wait for the poll's own time"


def test_a_submission_that_finds_no_place_to_wait_is_accepted(tmp_path: Path) -> None:
    with (
        running(tmp_path, max_waiting_per_key=1) as api,
        api.client(api.key("ada", Scope.SUBMIT, Scope.READ)) as client,
        client.stream("GET", f"/jobs/{submitted(client)}/events") as stream,
    ):
        assert stream.status_code == 200
        prefer = {"Prefer": "wait=30"}
        answer = client.post("/jobs", files={"file": npy(2)}, headers=prefer)
        assert answer.status_code == 202
        assert "preference-applied" not in answer.headers


@pytest.mark.parametrize(
    ("type_", "data"),
    [
        (EventType.QUEUED, {}),
        (EventType.QUEUED, {"reason": "the worker was stopped"}),
        (EventType.STARTED, {}),
        (EventType.STAGE, {"stage": "saving"}),
        (EventType.INTERIM, {"n": 1, "stacks": 2, "kept": 3}),  # what a later version adds stays
        (EventType.WARNING, {"message": "little was removed"}),
        (EventType.SUCCEEDED, {}),
        (EventType.FAILED, {"code": "timeout", "detail": "too long"}),
        (EventType.CANCELED, {}),
    ],
)
def test_an_event_tells_what_it_holds_and_when_in_utc(
    type_: EventType, data: dict[str, object]
) -> None:
    event = Event(7, "a" * 32, 2, type_, data, 1.5)
    expected = {"job_id": "a" * 32, "attempt": 2, "at": "1970-01-01T00:00:01.500000Z"}
    assert event_data(event) == expected | data
