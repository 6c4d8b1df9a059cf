"""Waiting for a store that does not answer, for a while."""

import time
from collections.abc import Callable
from typing import TypeVar

import structlog

from worker.store import StoreAwayError

PATIENCE = 120.0  # s that a job waits for a store that does not answer, before it is handed back
AGAIN = 2.0  # s between two attempts

log = structlog.get_logger()

T = TypeVar("T")


def patiently(do: Callable[[], T]) -> T:
    """What the store gives, asked again and again while it does not answer, for a while."""
    end = time.monotonic() + PATIENCE
    while True:
        try:
            return do()
        except StoreAwayError as error:
            if time.monotonic() > end:
                raise
            log.warning("store_away", reason=str(error))
            time.sleep(AGAIN)
