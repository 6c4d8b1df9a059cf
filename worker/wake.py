"""Telling whoever waits that a job has moved. Nothing is lost when it fails: they look again."""

import contextlib

from redis import Redis
from redis.exceptions import RedisError

from worker.contract import NEWS_CHANNEL, WAKE_CHANNEL


def wake(redis: Redis, job_id: str) -> None:
    """Wake dispatcher and readers."""
    _publish(redis, WAKE_CHANNEL, job_id)


def tell_readers(redis: Redis, job_id: str) -> None:
    """Wake readers alone: how far a running job is makes no work for the dispatcher."""
    _publish(redis, NEWS_CHANNEL, job_id)


def _publish(redis: Redis, channel: str, job_id: str) -> None:
    with contextlib.suppress(RedisError, OSError):
        redis.publish(channel, job_id)
