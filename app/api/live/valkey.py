"""Valkey as live sessions ask it: in a thread, for less than half a second, or not at all."""

import time
from collections.abc import Callable
from typing import Any, TypeVar

import structlog
from anyio import CapacityLimiter, to_thread
from redis import Redis
from redis.backoff import NoBackoff
from redis.exceptions import RedisError
from redis.retry import Retry

from app.http.problems import Problem

TIMEOUT = 0.4  # s
BLIND = 1.0  # s without asking after it did not answer
THREADS = 8

Found = TypeVar("Found")

log = structlog.get_logger()


class Valkey:
    """The queue's server, where frames and results are."""

    def __init__(self, url: str) -> None:
        self.redis = Redis.from_url(
            url,
            socket_timeout=TIMEOUT,
            socket_connect_timeout=TIMEOUT,
            retry=Retry(NoBackoff(), 0),
        )
        self._blind_until = 0.0
        self._threads = CapacityLimiter(THREADS)

    async def ask(self, ask: Callable[..., Found], *arguments: Any) -> Found:
        """Call something that asks it; 503 when it does not answer."""
        if time.monotonic() < self._blind_until:
            raise away()
        try:
            return await to_thread.run_sync(lambda: ask(*arguments), limiter=self._threads)
        except (RedisError, OSError) as error:
            log.warning("live_redis_away", error=type(error).__name__)
            self._blind_until = time.monotonic() + BLIND
            raise away() from error


def away() -> Problem:
    """503: frames are refused, and nobody waits."""
    return Problem(
        503,
        "live_unavailable",
        "the server's queue, which holds live frames, does not answer: go on with a later frame",
        headers={"Retry-After": "1"},
    )
