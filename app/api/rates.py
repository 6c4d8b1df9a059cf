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

log = structlog.get_logger()


class RateLimiter:
    """Counts each key's requests in Redis, over all API processes; without Redis, allows them."""

    def __init__(self, redis: Redis, rate: str) -> None:
        self._rate = parse(rate) if rate else None
        storage = RedisStorage("redis://", connection_pool=redis.connection_pool)
        self._limiter = SlidingWindowCounterRateLimiter(storage)
        self._blind_until = 0.0

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
        raise Problem(
            429,
            "rate_limited",
            f"got more requests with this key than {amount} a {unit} (rate_limit)",
            headers={"Retry-After": str(max(1, math.ceil(wait)))},
            limit=Limit(name="rate_limit", value=f"{amount}/{unit}", got=f">{amount}/{unit}"),
        )
