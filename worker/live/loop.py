"""The loop of a live session: rows from Valkey, through the core, as results back to Valkey."""

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import structlog
from numpy.typing import NDArray
from redis import Redis
from redis.exceptions import RedisError

from reucid_core.errors import ReucidError
from reucid_core.live import LiveFrame
from worker.contract import Mode, SessionRecord
from worker.live.course import Course
from worker.live.denoiser import denoiser_of
from worker.live.messages import Flag, Kind, Message
from worker.live.pulse import Pulse
from worker.live.transport import LostError, Overtaken, Transport, Work

PATIENCE = 0.5  # s between signs of life while nothing comes
AWAY = 0.2  # s before Valkey is asked again after it did not answer

log = structlog.get_logger()


@dataclass
class Loop:
    """A session bound to this process.

    Parameters
    ----------
    redis : Redis
    session : SessionRecord
    threads : int
        Of the core.
    pulse : Pulse
    """

    redis: Redis
    session: SessionRecord
    threads: int
    pulse: Pulse
    _frame: int | None = field(default=None, init=False)
    _sequence: int = field(default=0, init=False)

    def __post_init__(self) -> None:
        self._transport = Transport(self.redis, self.session)
        self._course = Course()
        self._denoiser = denoiser_of(self.session.request, self.threads)

    def run(self) -> None:
        """Go on until the session ends or becomes another worker's."""
        try:
            self._in_touch(self._bind)
            while True:
                self.pulse.beat()
                self._in_touch(self._step)
        except Overtaken:
            log.info("live_session_over")

    def _in_touch(self, act: Callable[[], None]) -> None:
        """Do something with Valkey, again and again while it is away or has forgotten us."""
        while True:
            try:
                act()
            except LostError:
                log.warning("live_session_lost_by_valkey")
                act = self._bind
            except (RedisError, OSError) as error:
                log.warning("redis_away", error=type(error).__name__)
                self.pulse.beat()
                time.sleep(AWAY)
            else:
                return

    def _bind(self) -> None:
        """Begin anew; what earlier workers have seen is seen again in the frames that are kept."""
        self._sequence, kept = self._transport.bind(self.session.attempt)
        standing = self._transport.standing()
        self._course = Course(standing.course if standing else ())
        self._denoiser, self._frame = denoiser_of(self.session.request, self.threads), None
        half_life = self.session.request.memory_frames
        of_use = min(len(kept), math.ceil(2 * half_life))
        for frame in kept[-of_use:] if of_use else ():
            self.pulse.beat()
            pixels = self._transport.raw(frame)
            if pixels is not None:
                self._denoiser.begin(frame)
                self._denoiser.update(pixels)

    def _step(self) -> None:
        work = self._transport.take(self.session.attempt)
        if work is None:
            self._transport.wait(PATIENCE)
            return
        self.pulse.frame_came()
        if self._is_late(work):
            return
        try:
            if work.frame != self._frame:
                self._denoiser.begin(work.frame)
                self._frame = work.frame
            for first, count in work.ranges:
                self._denoiser.update(self._transport.rows(work.frame, first, count), first)
            shown = self._denoiser.frame()
        except ReucidError as error:
            log.warning("live_frame_refused", frame=work.frame, reason=str(error))
            self._publish_raw(work)
        else:
            self._publish_denoised(work, shown)

    def _is_late(self, work: Work) -> bool:
        request = self.session.request
        if request.deadline_ms is None or request.mode is Mode.LOSSLESS or not work.waiting:
            return False
        return 1000 * (work.now - work.received_at) > request.deadline_ms

    def _publish_denoised(self, work: Work, shown: LiveFrame) -> None:
        scanned = np.flatnonzero(shown.scanned)
        first, stop = int(scanned[0]), int(scanned[-1]) + 1
        course = self._course.note(shown) if shown.complete else None
        flags = Flag.UNDENOISED if shown.blank or shown.patch_size is None else Flag(0)
        self._publish(work, first, shown.image[first:stop], flags, course)

    def _publish_raw(self, work: Work) -> None:
        """What the core refuses is shown as it was measured, the rows that came last."""
        first, count = work.ranges[-1]
        rows = self._transport.rows(work.frame, first, count)
        self._publish(work, first, rows, Flag.UNDENOISED, None)

    def _publish(
        self, work: Work, first: int, image: NDArray[Any], flags: Flag, course: str | None
    ) -> None:
        seconds, micro = self.redis.time()
        age = max(0.0, seconds + micro / 1e6 - work.received_at)
        shape = self.session.request.shape
        if len(image) == shape[0]:
            flags |= Flag.WHOLE
        message = Message(
            Kind.DENOISED,
            shape,
            work.frame,
            first,
            image.astype(np.float32),
            self._sequence + 1,
            work.captured_at,
            work.received_at,
            round(1000 * age),
            flags,
        )
        history = self.session.request.history
        self._transport.publish(self.session.attempt, message, history, course)
        self._sequence += 1
