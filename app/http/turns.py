"""Places that many share: each has so many at most, and of all who wait each has a turn."""

import asyncio
import contextlib
from collections import Counter, OrderedDict, deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager


class CrowdedError(Exception):
    """So many of one name wait already that one more may not."""

    def __init__(self, got: int, most: int) -> None:
        super().__init__(f"got {got} that wait, at most {most} may")
        self.got, self.most = got, most


class Place:
    """A place that was taken; it is given back once, however often that is asked for."""

    def __init__(self, turns: "Turns", name: str) -> None:
        self._turns: Turns | None = turns
        self._name = name

    def leave(self) -> None:
        """Give the place to whoever is next."""
        turns, self._turns = self._turns, None
        if turns is not None:
            turns._give(self._name)


class Turns:
    """Places within one event loop.

    Parameters
    ----------
    places : int
        In all.
    of_one : int
        Of these, that one name may hold at a time.
    most_waiting : int
        Of one name.
    """

    def __init__(self, places: int, of_one: int, most_waiting: int) -> None:
        self.places, self.of_one, self.most_waiting = places, of_one, most_waiting
        self._held: Counter[str] = Counter()
        self._waiting: OrderedDict[str, deque[asyncio.Future[None]]] = OrderedDict()

    @property
    def taken(self) -> int:
        """Places that are taken."""
        return self._held.total()

    @property
    def waiting(self) -> int:
        """How many wait, of all names."""
        return sum(map(len, self._waiting.values()))

    async def take(self, name: str) -> Place:
        """A place, when it is this name's turn.

        Raises
        ------
        CrowdedError
        """
        if self._has_room(name):
            self._held[name] += 1
            return Place(self, name)
        queue = self._waiting.get(name, ())
        if len(queue) >= self.most_waiting:
            raise CrowdedError(len(queue) + 1, self.most_waiting)
        turn = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(name, deque()).append(turn)
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():
                self._give(name)
            else:
                self._forget(name, turn)
            raise
        return Place(self, name)

    @asynccontextmanager
    async def place(self, name: str) -> AsyncIterator[Place]:
        """A place while the context lasts."""
        place = await self.take(name)
        try:
            yield place
        finally:
            place.leave()

    def _has_room(self, name: str) -> bool:
        return self._held.total() < self.places and self._held[name] < self.of_one

    def _give(self, name: str) -> None:
        self._held[name] -= 1
        if not self._held[name]:
            del self._held[name]
        while self._hand_on():
            pass

    def _hand_on(self) -> bool:
        """Give a free place to the first in turn who may have one; whether anybody got it."""
        for name, queue in self._waiting.items():
            if self._has_room(name):
                turn = queue.popleft()
                del self._waiting[name]
                if queue:
                    self._waiting[name] = queue  # at the end of the others
                if not turn.done():  # else who waited is just hanging up
                    self._held[name] += 1
                    turn.set_result(None)
                return True
        return False

    def _forget(self, name: str, turn: asyncio.Future[None]) -> None:
        queue = self._waiting.get(name, deque())
        with contextlib.suppress(ValueError):  # its turn came meanwhile
            queue.remove(turn)
        if name in self._waiting and not queue:
            del self._waiting[name]
