"""Waiting for what comes about, however fast the machine is."""

import time
from collections.abc import Callable

DEADLINE = 90.0  # s; generous: it is only used up by a failure
LOOK = 0.02  # s between two looks


def until(condition: Callable[[], object], what: str = "", seconds: float = DEADLINE) -> None:
    """Wait for a condition; fail when it takes too long."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, f"not within {seconds:g} s: {what or condition}"
        time.sleep(LOOK)
