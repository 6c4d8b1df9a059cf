"""What was found out a short time ago, and is not asked for again with each frame."""

import time
from collections import OrderedDict
from typing import Generic, TypeVar

KNOWN_FOR = 1.0  # s
MOST_KNOWN = 1024

Thing = TypeVar("Thing")


class Known(Generic[Thing]):
    """What was found out a short time ago."""

    def __init__(self) -> None:
        self._things: OrderedDict[str, tuple[float, Thing]] = OrderedDict()

    def get(self, name: str) -> Thing | None:
        until, thing = self._things.get(name, (0.0, None))
        return thing if time.monotonic() < until else None

    def note(self, name: str, thing: Thing) -> Thing:
        self._things[name] = (time.monotonic() + KNOWN_FOR, thing)
        self._things.move_to_end(name)
        if len(self._things) > MOST_KNOWN:
            self._things.popitem(last=False)
        return thing

    def forget(self, name: str) -> None:
        self._things.pop(name, None)
