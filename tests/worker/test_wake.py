"""Who is woken by what."""

from pathlib import Path

from redis import Redis

from tests.support.servers import valkey_server
from worker.contract import NEWS_CHANNEL, WAKE_CHANNEL
from worker.wake import tell_readers, wake


def test_how_far_a_job_is_does_not_wake_the_dispatcher(tmp_path: Path) -> None:
    with (
        valkey_server(tmp_path) as valkey,
        Redis.from_url(valkey.url) as redis,
        redis.pubsub() as heard,
    ):
        heard.subscribe(WAKE_CHANNEL, NEWS_CHANNEL)
        assert [heard.get_message(timeout=60) is not None for _ in range(2)] == [True, True]
        tell_readers(redis, "first")
        wake(redis, "second")
        told = [heard.get_message(timeout=60) for _ in range(2)]
    channels = [(each["channel"].decode(), each["data"].decode()) for each in told if each]
    assert channels == [(NEWS_CHANNEL, "first"), (WAKE_CHANNEL, "second")]


def test_nothing_is_lost_where_nobody_listens(tmp_path: Path) -> None:
    with Redis.from_url(f"unix://{tmp_path / 'none.sock'}") as redis:
        wake(redis, "job")
        tell_readers(redis, "job")
