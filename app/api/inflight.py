"""Submissions that are being received: their Idempotency-Key is taken until the ledger has the job.

Kept in the queue's Valkey, where every API process sees it, and for a moment only: who dies within
a submission blocks its repetition no longer than `LEASE`. What makes one key one job is the ledger;
without Valkey a repetition is let in and gets the first job from there.
"""

import asyncio
import contextlib
import hashlib
import time
from collections.abc import AsyncIterator, Callable
from typing import Annotated

import structlog
from fastapi import Header
from fastapi.concurrency import run_in_threadpool
from redis import Redis
from redis.exceptions import LockError, RedisError
from redis.lock import Lock

from app.http.problems import Problem

IdempotencyKey = Annotated[
    str | None,
    Header(
        min_length=1,
        max_length=200,
        description="Repeating a submission with its key makes no second job: it gets the answer "
        "to the first one, or 409 while that is being received.",
    ),
]

LEASE = 3.0  # s a key stays taken after its process was last heard of
RENEWAL = 1.0  # s
BLIND = 5.0  # s without asking after Redis did not answer

log = structlog.get_logger()


class InFlight:
    """The keys of the submissions that all API processes are at."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis
        self._blind_until = 0.0

    @contextlib.asynccontextmanager
    async def taken(self, owner: str, key: str | None) -> AsyncIterator[None]:
        """Hold an owner's key for the time of the block; 409 when a submission with it is on."""
        if key is None:
            yield
            return
        name = hashlib.sha256(f"{owner}\0{key}".encode()).hexdigest()
        lock = self._redis.lock(f"reucid:submission:{name}", timeout=LEASE, thread_local=False)
        if not await run_in_threadpool(self._try, lambda: lock.acquire(blocking=False)):
            raise Problem(
                409,
                "in_flight",
                f"a submission with the Idempotency-Key {key!r} is being received: repeat this "
                "one when that is answered, and it gets the same answer",
                headers={"Retry-After": "1"},
            )
        renewing = asyncio.create_task(self._keep(lock))
        try:
            yield
        finally:
            renewing.cancel()
            await run_in_threadpool(self._try, lock.release)

    async def _keep(self, lock: Lock) -> None:
        while True:
            await asyncio.sleep(RENEWAL)
            await run_in_threadpool(self._try, lock.reacquire)

    def _try(self, act: Callable[[], bool | None]) -> bool:
        """Whether Redis did it; True also where it could not be asked."""
        if time.monotonic() < self._blind_until:
            return True
        try:
            return act() is not False
        except LockError:  # it ran out, for instance because Redis was wiped
            return True
        except (RedisError, OSError) as error:
            log.warning("keys_not_held", error=type(error).__name__)
            self._blind_until = time.monotonic() + BLIND
            return True
