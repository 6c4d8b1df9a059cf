"""Telling whoever waits that a job has moved."""

import contextlib

from redis import Redis
from redis.exceptions import RedisError

from worker.contract import WAKE_CHANNEL

WAKE_TIMEOUT = 0.5  # s of a client that is there to wake; a job waits for it


def wake(redis: Redis, job_id: str) -> None:
    """Wake dispatcher and readers. Nothing is lost when it fails: they look again by themselves."""
    with contextlib.suppress(RedisError, OSError):
        redis.publish(WAKE_CHANNEL, job_id)
