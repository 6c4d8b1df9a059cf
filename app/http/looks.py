"""One look for all who ask: what costs a look at the disk is not done for each request."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

Seen = TypeVar("Seen")

KEPT = 1.0  # s


class SharedLook(Generic[Seen]):
    """Looks when somebody asks, once for all who ask until some time after it.

    Parameters
    ----------
    kept : float
        Seconds for which what was seen is good.
    """

    def __init__(self, kept: float = KEPT) -> None:
        self._kept = kept
        self._lock = asyncio.Lock()
        self._seen: tuple[float, Seen] | None = None

    async def __call__(self, look: Callable[[], Awaitable[Seen]]) -> Seen:
        """What there is to see; `look` is called by one at a time."""
        async with self._lock:
            now = asyncio.get_running_loop().time()
            if self._seen is None or now >= self._seen[0]:
                seen = await look()
                self._seen = asyncio.get_running_loop().time() + self._kept, seen
            return self._seen[1]
