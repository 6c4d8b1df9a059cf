"""Live sessions in tests: frames of a lattice, and a worker in a thread of this process."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from redis import Redis

from worker.contract import Mode, SessionRecord, SessionRequest
from worker.denoising.params import JobParams
from worker.ledger.database import Database
from worker.ledger.sessions import Binding, SessionRoom, Sessions
from worker.live.loop import Loop
from worker.live.pulse import Pulse
from worker.live.transport import end, memory_of

SHAPE = (48, 40)
ROOM = SessionRoom(everyone=100, per_key=100, memory=2**30)


def frame_of(seed: int = 0, shape: tuple[int, int] = SHAPE) -> NDArray[np.uint16]:
    """A noisy frame of a lattice."""
    y, x = np.indices(shape)
    lattice = (1 + np.cos(2 * np.pi * x / 8)) * (1 + np.cos(2 * np.pi * y / 8))
    return np.random.default_rng(seed).poisson(5 * lattice + 3).astype("<u2")


def request_of(
    *,
    shape: tuple[int, int] = SHAPE,
    mode: Mode = Mode.LATEST,
    keep_frames: int = 4,
    history: int = 3,
    owner: str = "lab",
) -> SessionRequest:
    """A session on such frames."""
    return SessionRequest(
        owner=owner,
        shape=shape,
        dtype="uint16",
        params=JobParams().to_json(),
        memory=memory_of(shape, 2, mode, keep_frames, history),
        history=history,
        keep_frames=keep_frames,
        mode=mode,
    )


def opened(database: Database, request: SessionRequest | None = None) -> SessionRecord:
    """A session in the ledger."""
    return Sessions(database).open(request or request_of(), ROOM)


@contextmanager
def worker(redis_url: str, database: Database, session_id: str) -> Iterator[Pulse]:
    """A worker bound to a session while the context lasts."""
    session = Sessions(database).get(session_id)
    claimed = Binding(database, session.id, session.attempt, "in-process").claim(60.0)
    assert claimed is not None
    pulse = Pulse()
    with Redis.from_url(redis_url, socket_timeout=2) as redis:
        loop = Loop(redis, claimed, 1, pulse)
        thread = threading.Thread(target=loop.run)
        thread.start()
        try:
            yield pulse
        finally:
            end(redis, session.id)
            thread.join(20)
            assert not thread.is_alive()


def at_attempt(session: SessionRecord, attempt: int) -> SessionRecord:
    """The same, bound once more."""
    return replace(session, attempt=attempt)
