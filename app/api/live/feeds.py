"""The newest result of each session, fetched once for all who look at it.

Nothing is queued for anybody: who comes back from a slow connection gets what is newest then.
"""

import asyncio
import contextlib
import time
from collections import OrderedDict
from collections.abc import AsyncIterator
from dataclasses import dataclass
from weakref import WeakValueDictionary

import structlog
from redis.asyncio import Redis
from redis.exceptions import RedisError

from app.api.live.valkey import Valkey
from worker.contract import LIVE_CHANNEL
from worker.live.messages import Message
from worker.live.transport import Standing, Transport

POLL = 1.0  # s between looks without being woken
MOST_HELD = 16  # sessions whose newest result is at hand

log = structlog.get_logger()


@dataclass(frozen=True)
class Look:
    """How a session stands, and its newest result."""

    standing: Standing | None  # None: Valkey has no place for it
    message: bytes | None
    at: float  # of the monotonic clock

    @property
    def sequence(self) -> int:
        """Number of the newest result; 0 when there is none."""
        return 0 if self.message is None else Message.from_bytes(self.message).sequence

    @property
    def age_ms(self) -> int | None:
        """Of the newest result, now."""
        if self.standing is None or self.standing.age_ms is None:
            return None
        return self.standing.age_ms + round(1000 * (time.monotonic() - self.at))


class Feeds:
    """What one API process knows of live results."""

    def __init__(self, redis_url: str, valkey: Valkey) -> None:
        self._url, self._valkey = redis_url, valkey
        self._news: WeakValueDictionary[str, asyncio.Event] = WeakValueDictionary()
        self._looks: OrderedDict[str, Look] = OrderedDict()  # those that are still the newest
        self._looking: dict[str, asyncio.Task[Look]] = {}

    @contextlib.asynccontextmanager
    async def listening(self) -> AsyncIterator["Feeds"]:
        """Listen in the background while the context lasts."""
        task = asyncio.create_task(self._listen())
        try:
            yield self
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    async def wait(self, session_id: str, news: asyncio.Event, seconds: float) -> None:
        """Wait for news of a session, so many seconds at most."""
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(news.wait(), min(seconds, POLL))
        if not news.is_set():
            self._looks.pop(session_id, None)  # Valkey may have failed to tell

    def news(self, session_id: str) -> asyncio.Event:
        """Set at the next news of a session; to be asked for before looking."""
        news = self._news.get(session_id) or asyncio.Event()
        self._news[session_id] = news
        return news

    async def look(self, transport: Transport) -> Look:
        """The newest result; 503 when Valkey does not answer."""
        session_id = transport.session.id
        known = self._looks.get(session_id)
        if known is not None:
            return known
        looking = self._looking.get(session_id)
        if looking is None:
            looking = self._looking[session_id] = asyncio.create_task(self._fetch(transport))
        return await asyncio.shield(looking)

    async def _fetch(self, transport: Transport) -> Look:
        session_id = transport.session.id
        news = self.news(session_id)
        try:
            standing, message = await self._valkey.ask(transport.look)
        finally:
            self._looking.pop(session_id, None)
        look = Look(standing, message, time.monotonic())
        if not news.is_set():  # else there is a newer one
            self._looks[session_id] = look
            self._looks.move_to_end(session_id)
            if len(self._looks) > MOST_HELD:
                self._looks.popitem(last=False)
        return look

    async def _listen(self) -> None:
        while True:
            try:
                async with Redis.from_url(self._url) as redis, redis.pubsub() as pubsub:
                    await pubsub.subscribe(LIVE_CHANNEL)
                    async for message in pubsub.listen():
                        if message["type"] == "message":
                            self._tell(message["data"].decode())
            except (RedisError, OSError) as error:
                log.warning("live_channel_lost", error=type(error).__name__)
                await asyncio.sleep(POLL)

    def _tell(self, session_id: str) -> None:
        self._looks.pop(session_id, None)
        self._looking.pop(session_id, None)  # what is being fetched may be the one before
        news = self._news.pop(session_id, None)
        if news is not None:
            news.set()
