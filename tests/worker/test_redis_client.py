"""A client that says soon that there is no answer."""

import socket

import pytest
from redis.exceptions import TimeoutError as NoAnswerError

from worker.redis_client import open_redis


def test_it_asks_once_for_as_long_as_stated() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"redis://127.0.0.1:{silent.getsockname()[1]}"
        with open_redis(url, 0.05) as redis, pytest.raises(NoAnswerError):
            redis.ping()
        asked = redis.connection_pool.connection_kwargs
        assert (asked["socket_timeout"], asked["socket_connect_timeout"]) == (0.05, 0.05)
        silent.settimeout(0.05)
        silent.accept()[0].close()
        with pytest.raises(TimeoutError):
            silent.accept()
