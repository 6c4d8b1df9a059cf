"""How many requests a key may make in a time."""

import math
import time

import structlog
from limits import parse
from limits.storage import RedisStorage
from limits.strategies import SlidingWindowCounterRateLimiter
from redis import Redis
from redis.exceptions import RedisError

from app.http.problems import Limit, Problem

BLIND = 5.0  # s without asking after Redis did not answer
CLOSED = 1.0  # s for which a key that was refused is refused without being counted

log = structlog.get_logger()


class RateLimiter:
    """Counts each key's requests in Redis, over all API processes; without Redis, allows them."""

    def __init__(self, redis: Redis, rate: str) -> None:
        self._rate = parse(rate) if rate else None
        storage = RedisStorage("redis://", connection_pool=redis.connection_pool)
        self._limiter = SlidingWindowCounterRateLimiter(storage)
        self._blind_until = 0.0
        self._closed: dict[str, tuple[float, Problem]] = {}  # until when, and what is said

    def closed(self, key_id: str) -> Problem | None:
        """What a key is told that has had its requests for now, whatever it asks for."""
        until, problem = self._closed.get(key_id, (0.0, None))
        if problem is not None and until < time.monotonic():
            self._closed.pop(key_id, None)
            return None
        return problem

    def check(self, key_id: str) -> None:
        """Count a request, or refuse it with 429."""
        if self._rate is None or time.monotonic() < self._blind_until:
            return
        try:
            if self._limiter.hit(self._rate, key_id):
                return
            wait = self._limiter.get_window_stats(self._rate, key_id).reset_time - time.time()
        except (RedisError, OSError) as error:
            log.warning("rates_not_counted", error=type(error).__name__)
            self._blind_until = time.monotonic() + BLIND
            return
        amount, unit = self._rate.amount, self._rate.GRANULARITY.name
        problem = Problem(
            429,
            "rate_limited",
            f"got more requests with this key than {amount} a {unit} (rate_limit)",
            headers={"Retry-After": str(max(1, math.ceil(wait)))},
            limit=Limit(name="rate_limit", value=f"{amount}/{unit}", got=f">{amount}/{unit}"),
        )
        self._closed[key_id] = (time.monotonic() + min(CLOSED, max(0.0, wait)), problem)
        raise problem
