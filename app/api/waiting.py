"""Who waits for jobs in this process: event streams and long polls, so many of a key and in all."""

import contextlib
from collections import Counter
from collections.abc import Iterable, Iterator

from app.api.lanes import step_aside
from app.http.problems import Limit, Problem

RETRY_AFTER = 5  # s
PER_KEY, EVERYONE = 128, 1024


class Waiting:
    """The waiters by their keys; None stands for the machine itself."""

    def __init__(self, per_key: int = PER_KEY, everyone: int = EVERYONE) -> None:
        self._per_key, self._everyone = per_key, everyone
        self._waiters: Counter[str | None] = Counter()
        self._ended: set[str] = set()
        self.is_over = False  # for all: this process is about to end

    @contextlib.contextmanager
    def place(self, key_id: str | None) -> Iterator[None]:
        """A waiter's place while the context lasts; 429 when there is none."""
        self._check_room(key_id)
        step_aside()
        self._waiters[key_id] += 1
        try:
            yield
        finally:
            self._waiters[key_id] -= 1
            if not self._waiters[key_id]:
                del self._waiters[key_id]
                self._ended.discard(key_id or "")

    def keys(self) -> list[str]:
        """The keys of all who wait."""
        return [key_id for key_id in self._waiters if key_id is not None]

    def end(self, keys: Iterable[str]) -> bool:
        """Note keys that have ended; whether any is new."""
        new = set(keys) - self._ended
        self._ended |= new
        return bool(new)

    def has_ended(self, key_id: str | None) -> bool:
        """Whether a waiter's key has ended since it began to wait."""
        return key_id in self._ended

    def check(self, key_id: str | None) -> None:
        """401 when a waiter's key has ended since it began to wait."""
        if self.has_ended(key_id):
            raise Problem(401, "unauthorized", "the key has ended while its request was waiting")

    def _check_room(self, key_id: str | None) -> None:
        for name, value, got, whose in (
            ("max_waiting_per_key", self._per_key, self._waiters[key_id] + 1, "this key"),
            ("max_waiting", self._everyone, self._waiters.total() + 1, "all keys"),
        ):
            if got > value:
                raise Problem(
                    429,
                    "too_many_waiting",
                    f"got {got} event streams and waiting requests of {whose}, at most {value} "
                    f"are kept open ({name})",
                    headers={"Retry-After": str(RETRY_AFTER)},
                    limit=Limit(name=name, value=value, got=got),
                )
