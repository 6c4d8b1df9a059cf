"""Where the time goes."""

import time


class Clock:
    """Wall-clock seconds by stage, summed over repeated laps."""

    def __init__(self) -> None:
        self.restart()

    def restart(self) -> None:
        """Begin anew, with no seconds booked; those told before stay as they are."""
        self.seconds: dict[str, float] = {}
        self._start = self._last = time.perf_counter()

    def lap(self, stage: str) -> None:
        """Book the time since the last lap to a stage."""
        now = time.perf_counter()
        self.seconds[stage] = self.seconds.get(stage, 0.0) + now - self._last
        self._last = now

    @property
    def elapsed(self) -> float:
        """Seconds since the clock was made."""
        return time.perf_counter() - self._start
