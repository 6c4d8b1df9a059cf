"""How soon a request that is refused at the door is answered: of one name, so many a second.

A refusal costs little, but a client that asks again at once in a thousand connections makes a load
of it that everybody feels. One that is a little over a limit does not notice.
"""

import asyncio
from collections import Counter


class Refusals:
    """Answers to refused requests, one after the other, within one event loop.

    Parameters
    ----------
    a_second : float
        Of one name.
    within : float
        Seconds within which so many are answered as the rate allows; the more that are held beyond
        that, the closer they follow, and never many at once.
    most_held : int
        In all; more than that are answered at once, which costs no memory.
    """

    def __init__(self, a_second: float, within: float, most_held: int) -> None:
        self._apart, self._within, self._most_held = 1 / a_second, within, most_held
        self._next: dict[str, float] = {}  # moments of the loop's clock
        self._held: Counter[str] = Counter()

    @property
    def held(self) -> int:
        """Refusals that are not answered yet."""
        return self._held.total()

    async def turn(self, name: str) -> None:
        """Wait until a refusal of this name may be answered."""
        if self.held >= self._most_held:
            return
        now = asyncio.get_running_loop().time()
        turn = max(now, self._next.get(name, now))
        self._held[name] += 1
        self._next[name] = turn + min(self._apart, self._within / self._held[name])
        try:
            await asyncio.sleep(turn - now)
        finally:
            self._held[name] -= 1
            if not self._held[name]:
                del self._held[name]
                self._forget(name)

    def _forget(self, name: str) -> None:
        """Forget the turns that are past, and those of a name whose clients hung up."""
        now = asyncio.get_running_loop().time()
        if name in self._next:
            self._next[name] = min(self._next[name], now + self._apart)
        self._next = {name: turn for name, turn in self._next.items() if turn > now}
