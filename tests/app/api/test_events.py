"""Streams of events end with the terminal one, whatever happens while they are read."""

import asyncio
from pathlib import Path
from unittest.mock import patch
from uuid import uuid4

import pytest

from app.api import events
from app.api.events import Wakes, job_events, until_terminal
from worker.contract import (
    Artifact,
    Event,
    EventType,
    FileInfo,
    ImageInfo,
    JobRecord,
    JobRequest,
    State,
)
from worker.ledger.attempt import Attempt
from worker.ledger.database import Database
from worker.ledger.images import Images
from worker.ledger.jobs import Jobs


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
    wakes = Wakes("redis://127.0.0.1:9")
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
