"""Waiting for something to happen to a job.

The ledger is the truth; Redis only says when to look again. A waiter looks when it is woken and
costs nothing otherwise: every `POLL` seconds one look for all of them finds what Redis did not
tell, and whose key has ended meanwhile.
"""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable
from typing import Any, TypeVar
from weakref import WeakValueDictionary

import structlog
from anyio import CapacityLimiter, to_thread
from fastapi.concurrency import run_in_threadpool
from redis.asyncio import Redis
from redis.exceptions import RedisError
from sqlalchemy.exc import SQLAlchemyError

from app.api.waiting import Waiting
from worker.contract import NEWS_CHANNEL, WAKE_CHANNEL, Event, JobRecord
from worker.ledger.database import Database
from worker.ledger.jobs import Jobs
from worker.ledger.keys import Keyring
from worker.ledger.refusals import NotFoundError

POLL = 1.0  # s
THREADS = 4  # of all waiters that look; others wait for them, not the requests of other clients

Found = TypeVar("Found")

log = structlog.get_logger()


class Wakes:
    """What wakes all waiters of this process: one subscription, and one look for all."""

    def __init__(self, redis_url: str, waiting: Waiting | None = None) -> None:
        self.waiting = waiting or Waiting()
        self._url = redis_url
        # By job; one that nobody waits for any more is forgotten.
        self._news: WeakValueDictionary[str, asyncio.Event] = WeakValueDictionary()
        self._latest: dict[str, int] = {}  # event of each job that is waited for
        self._threads = CapacityLimiter(THREADS)

    @contextlib.asynccontextmanager
    async def listening(self, database: Database) -> AsyncIterator["Wakes"]:
        """Listen in the background while the context lasts."""
        tasks = [asyncio.create_task(work) for work in (self._listen(), self._look(database))]
        try:
            yield self
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    def news(self, job_id: str) -> asyncio.Event:
        """Set at the next wake of a job.

        To be asked for before looking at the job: what happens meanwhile is news, too.
        """
        news = self._news.get(job_id) or asyncio.Event()
        self._news[job_id] = news
        return news

    def let_go(self) -> None:
        """Have all streams and polls end now, and new ones at once: this process is about to."""
        self.waiting.is_over = True
        for job_id in list(self._news):
            self._tell(job_id)

    async def look(self, ask: Callable[..., Found], *arguments: Any) -> Found:
        """Ask the ledger for a waiter."""
        return await to_thread.run_sync(ask, *arguments, limiter=self._threads)

    async def _listen(self) -> None:
        while True:
            try:
                async with Redis.from_url(self._url) as redis, redis.pubsub() as pubsub:
                    await pubsub.subscribe(WAKE_CHANNEL, NEWS_CHANNEL)
                    async for message in pubsub.listen():
                        if message["type"] == "message":
                            self._tell(message["data"].decode())
            except (RedisError, OSError) as error:
                log.warning("wake_channel_lost", error=str(error))
                await asyncio.sleep(POLL)

    async def _look(self, database: Database) -> None:
        """Look for all, as long as anybody waits."""
        while True:
            await asyncio.sleep(POLL)
            jobs, keys = list(self._news), self.waiting.keys()
            try:
                if keys:
                    self._end(await run_in_threadpool(Keyring(database).ended, keys))
                latest = await run_in_threadpool(Jobs(database).latest_events, jobs) if jobs else {}
            except SQLAlchemyError as error:
                log.warning("ledger_away", error=type(error).__name__)
                continue
            for job_id in jobs:  # also one that is gone
                if job_id not in latest or latest[job_id] != self._latest.get(job_id):
                    self._tell(job_id)
            self._latest = latest

    def _end(self, keys: set[str]) -> None:
        """Wake all for the few whose keys have ended."""
        if self.waiting.end(keys):
            for job_id in list(self._news):
                self._tell(job_id)

    def _tell(self, job_id: str) -> None:
        news = self._news.pop(job_id, None)
        if news is not None:
            news.set()


async def job_events(
    database: Database, wakes: Wakes, job_id: str, after: int, *, key_id: str | None = None
) -> AsyncIterator[Event]:
    """Every event of a job after a given one, as they happen, up to its terminal one.

    It ends, too, when the reader's key does, or this process is about to: the reader resumes then,
    at another one.
    """
    while True:
        news = wakes.news(job_id)
        ended, events = await wakes.look(_since, database, job_id, after)
        for event in events:
            if wakes.waiting.has_ended(key_id):
                return
            yield event
            after = event.id
            if event.type.terminal:
                return
        if ended and not events:
            return  # the reader had its last event before
        if wakes.waiting.is_over:
            return
        await news.wait()
        if wakes.waiting.has_ended(key_id):
            return


def _since(database: Database, job_id: str, after: int) -> tuple[bool, list[Event]]:
    """Whether a job has ended, and its events; a job that ends in between leaves one."""
    ended = _has_ended(database, job_id)
    return ended, Jobs(database).events(job_id, after=after)


def _has_ended(database: Database, job_id: str) -> bool:
    try:
        return Jobs(database).get(job_id).state.terminal
    except NotFoundError:  # deleted meanwhile
        return True


async def until_terminal(
    database: Database,
    wakes: Wakes,
    job_id: str,
    *,
    owner: str,
    seconds: float,
    key_id: str | None = None,
) -> JobRecord:
    """The job once it is terminal, or as it stands after so many seconds or as this process ends.

    Raises
    ------
    Problem
        When the key that asks ends meanwhile.
    """
    end = time.monotonic() + seconds
    while True:
        news = wakes.news(job_id)
        job = await wakes.look(lambda: Jobs(database).get(job_id, owner=owner))
        left = end - time.monotonic()
        if job.state.terminal or left <= 0 or wakes.waiting.is_over:
            return job
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(news.wait(), left)
        wakes.waiting.check(key_id)
