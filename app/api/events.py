"""Waiting for something to happen to a job.

The ledger is the truth; Redis only says when to look again. Without Redis a waiter looks every
`POLL` seconds and misses nothing.
"""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator
from typing import Any
from weakref import WeakValueDictionary

import structlog
from fastapi.concurrency import run_in_threadpool
from redis.asyncio import Redis
from redis.exceptions import RedisError

from worker.contract import WAKE_CHANNEL, Event, JobRecord
from worker.ledger.database import Database
from worker.ledger.jobs import Jobs
from worker.ledger.refusals import NotFoundError

POLL = 1.0  # s

log = structlog.get_logger()


class Wakes:
    """One subscription to the wake channel, shared by all waiters of this process."""

    def __init__(self, redis_url: str) -> None:
        self._url = redis_url
        # By job; one that nobody waits for any more is forgotten.
        self._news: WeakValueDictionary[str, asyncio.Event] = WeakValueDictionary()

    @contextlib.asynccontextmanager
    async def listening(self) -> AsyncIterator["Wakes"]:
        """Listen in the background while the context lasts."""
        task = asyncio.create_task(self._listen())
        try:
            yield self
        finally:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task

    def news(self, job_id: str) -> asyncio.Event:
        """Set at the next wake of a job.

        To be asked for before looking at the job: what happens meanwhile is news, too.
        """
        news = self._news.get(job_id) or asyncio.Event()
        self._news[job_id] = news
        return news

    async def _listen(self) -> None:
        while True:
            try:
                async with Redis.from_url(self._url) as redis, redis.pubsub() as pubsub:
                    await pubsub.subscribe(WAKE_CHANNEL)
                    async for message in pubsub.listen():
                        if message["type"] == "message":
                            self._tell(message["data"].decode())
            except (RedisError, OSError) as error:
                log.warning("wake_channel_lost", error=str(error))
                await asyncio.sleep(POLL)

    def _tell(self, job_id: str) -> None:
        news = self._news.pop(job_id, None)
        if news is not None:
            news.set()


async def job_events(
    database: Database, wakes: Wakes, job_id: str, after: int
) -> AsyncIterator[Event]:
    """Every event of a job after a given one, as they happen, up to its terminal one."""
    while True:
        news = wakes.news(job_id)
        # In this order: a job that ends in between leaves an event to be read.
        ended = await run_in_threadpool(_has_ended, database, job_id)
        events = await run_in_threadpool(Jobs(database).events, job_id, after=after)
        for event in events:
            yield event
            after = event.id
            if event.type.terminal:
                return
        if ended and not events:
            return  # the reader had its last event before
        await _wait(news, POLL)


async def _wait(news: asyncio.Event, timeout: float) -> None:
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(news.wait(), timeout)


def _has_ended(database: Database, job_id: str) -> bool:
    try:
        return Jobs(database).get(job_id).state.terminal
    except NotFoundError:  # deleted meanwhile
        return True


async def until_terminal(
    database: Database, wakes: Wakes, job_id: str, *, owner: str, seconds: float
) -> JobRecord:
    """The job once it is terminal, or as it stands after so many seconds."""
    end = time.monotonic() + seconds
    while True:
        news = wakes.news(job_id)
        job = await run_in_threadpool(Jobs(database).get, job_id, owner=owner)
        left = end - time.monotonic()
        if job.state.terminal or left <= 0:
            return job
        await _wait(news, min(POLL, left))


def event_data(event: Event) -> dict[str, Any]:
    """What a client sees of an event."""
    return {"job_id": event.job_id, "attempt": event.attempt, "at": event.created_at} | dict(
        event.data
    )
