"""What a live worker's process tells its parent, in memory that both have: no lock, no queue."""

import mmap
import struct
import time

WHEN = struct.Struct("<dd")  # monotonic times: the last sign of life, the newest frame


class Pulse:
    """The signs of life of one process at a time."""

    def __init__(self) -> None:
        self._shared = mmap.mmap(-1, WHEN.size)
        self.reset()

    def reset(self) -> None:
        """As if it had just begun, and no frame had come."""
        WHEN.pack_into(self._shared, 0, time.monotonic(), 0.0)

    def beat(self) -> None:
        """The process is alive."""
        WHEN.pack_into(self._shared, 0, time.monotonic(), self._when[1])

    def frame_came(self) -> None:
        """It has got rows."""
        WHEN.pack_into(self._shared, 0, *2 * (time.monotonic(),))

    @property
    def silent_for(self) -> float:
        """Seconds since the last sign of life."""
        return time.monotonic() - self._when[0]

    @property
    def touched_ago(self) -> float | None:
        """Seconds since rows came; None when none have."""
        newest = self._when[1]
        return time.monotonic() - newest if newest else None

    @property
    def _when(self) -> tuple[float, float]:
        beat, newest = WHEN.unpack_from(self._shared, 0)
        return beat, newest
