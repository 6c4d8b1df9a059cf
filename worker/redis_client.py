"""Asking Redis, or Valkey, for a stated time at most: whoever asks has something better to do."""

from redis import Redis


def open_redis(url: str | None, timeout_s: float) -> Redis:
    """A client that waits so long for a connection, and as long for each answer, and asks once.

    A network that loses packets without a word would otherwise hold up whoever connects for the
    client's own default, 5 s, whatever an answer may take.
    """
    return Redis.from_url(url or "", socket_timeout=timeout_s, socket_connect_timeout=timeout_s)
