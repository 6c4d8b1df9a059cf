"""When to ask again, and how long to wait before."""

from __future__ import annotations

import random
import time
from dataclasses import dataclass

import httpx

PASSING = (408, 425, 429, 502, 503, 504)
IN_FLIGHT = "in_flight"  # the code of 409 for a submission that is being received


class BrokenError(Exception):
    """A connection has broken, or could not be made.

    Parameters
    ----------
    why : object
    answer : httpx.Response or None
        Of a server that refused it.
    """

    def __init__(self, why: object, answer: httpx.Response | None = None) -> None:
        super().__init__(str(why))
        self.answer = answer


@dataclass(frozen=True)
class Retrying:
    """How patient a client is.

    Every request of this package can be repeated: images are known by their digest, and what makes
    a job or a live session carries an Idempotency-Key.

    Parameters
    ----------
    patience : float
        Seconds for which what fails is tried again, from its first failure on.
    first, longest : float
        Seconds of the first wait, doubled each time, and of the longest; what the server asks for
        (`Retry-After`) counts where it is longer.
    """

    patience: float = 120.0
    first: float = 0.5
    longest: float = 15.0

    def attempts(self) -> Attempts:
        """Those of one request, from now on."""
        return Attempts(self)


class Attempts:
    """How often a request has failed since something came."""

    def __init__(self, retrying: Retrying) -> None:
        self._retrying = retrying
        self._failed = 0
        self._end = 0.0  # of the patience, once it has failed

    @property
    def is_repetition(self) -> bool:
        """Whether it has failed before, though it may have reached the server."""
        return self._failed > 0

    def succeeded(self) -> None:
        """Count from the beginning: something came."""
        self._failed = 0

    def pause(self, answer: httpx.Response | None) -> float | None:
        """Seconds to wait after an answer, or after none; None when it is final."""
        if answer is not None and not _passes(answer):
            return None
        if not self._failed:  # a connection may have lasted for hours before it broke
            self._end = time.monotonic() + self._retrying.patience
        doubled = self._retrying.first * 2.0 ** min(self._failed, 10)
        self._failed += 1
        # Spread, so that clients that failed together do not come back together.
        spread = random.uniform(0.5, 1.0) * min(self._retrying.longest, doubled)  # noqa: S311
        pause = max(spread, _retry_after(answer))
        return pause if time.monotonic() + pause < self._end else None


def _passes(response: httpx.Response) -> bool:
    """Whether what it says may pass."""
    if response.status_code == 409:
        return IN_FLIGHT in response.text
    return response.status_code in PASSING


def _retry_after(response: httpx.Response | None) -> float:
    """Seconds that the server asks for. Dates are not understood: clocks may differ by hours."""
    told = "" if response is None else response.headers.get("Retry-After", "")
    return float(told) if told.isdigit() else 0.0
