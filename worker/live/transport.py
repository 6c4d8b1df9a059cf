"""Frames and results of a live session in Valkey, bounded in bytes, each step a script of its own.

A raw frame lies there once, however many rows it came in and whoever needs it: the worker that
denoises it, the viewer that shows it, the job that is made of it. What waits for the worker are row
numbers. Results are held as messages (`worker.live.messages`): the newest one, and those of the
last whole frames.

Every method raises redis' own errors when Valkey does not answer.
"""

import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from itertools import accumulate
from pathlib import Path
from typing import Any, Literal, cast

import numpy as np
from numpy.typing import NDArray
from redis import Redis

from worker.contract import LIVE_CHANNEL, Mode, SessionRecord
from worker.live.messages import Message

SCRIPTS = Path(__file__).parent / "scripts"
PREFIX = "reucid:live:"
WAITING = {Mode.LATEST: 2, Mode.LOSSLESS: 8}  # frames that wait for the worker at most
REMEMBERED = 60  # s for which a session's end is known here
AGES = (25, 50, 100, 150, 250, 500, 1000, 2500, 5000)  # ms, bounds of those that are counted
TOTALS = f"{PREFIX}totals"  # as the scripts name it
OVERHEAD = 4096  # bytes of a frame or result beside its pixels

Outcome = Literal["taken", "repeated", "absent", "closed", "passed", "overlap", "full", "rate"]


def memory_of(shape: tuple[int, int], itemsize: int, mode: Mode, keep: int, history: int) -> int:
    """Bytes of Valkey that a session takes at most."""
    pixels = shape[0] * shape[1]
    # Beside those that wait: the one that comes, the one that is worked on.
    raw = (WAITING[mode] + 2 + keep) * (pixels * itemsize + OVERHEAD)
    return raw + (history + 1) * (4 * pixels + OVERHEAD)


@dataclass(frozen=True)
class Standing:
    """How a session stands: what came of its frames, and how old what is shown is.

    Every frame of which rows were received is one of: processed, whole, as a result; superseded,
    shown in part until a newer one came; dropped, never looked at; or waiting.
    """

    received: int
    processed: int
    superseded: int
    dropped: int
    waiting: int
    partial: int  # frames of which the client has not sent all rows
    repeated: int  # rows that came again and were ignored
    newest: int | None  # frame
    shown: int | None  # frame of the newest result
    sequence: int  # number of the newest result
    attempt: int  # worker that was bound last
    ended: bool
    age_ms: int | None  # of the newest result: since its last row was received
    course: Sequence[Mapping[str, Any]] = ()

    @classmethod
    def of(cls, fields: Mapping[bytes, bytes], now: float) -> "Standing":
        stated = {name.decode(): value for name, value in fields.items()}
        number = {name: int(float(stated[name])) for name in COUNTS}
        shown_at = stated["shown_received"]
        age = None if not shown_at else max(0, round(1000 * (now - float(shown_at))))
        passed = number["processed"] + number["superseded"] + number["dropped"]
        at_work = number["current"] >= 0 and number["current_done"] == 0
        return cls(
            received=number["received"],
            processed=number["processed"],
            superseded=number["superseded"],
            dropped=number["dropped"],
            waiting=max(0, number["received"] - passed - int(at_work)),
            partial=number["partial"],
            repeated=number["repeated"],
            newest=_frame(number["newest"]),
            shown=_frame(number["shown"]),
            sequence=number["sequence"],
            attempt=number["attempt"],
            ended=stated["closing_until"] == b"never",
            age_ms=age,
            course=json.loads(stated["course"]),
        )


OUTCOMES = ("received", "processed", "superseded", "dropped")
COUNTS = (
    *(*OUTCOMES, "partial", "repeated"),
    *("newest", "shown", "sequence", "attempt", "current", "current_done"),
)


@dataclass(frozen=True)
class Totals:
    """What came of the frames of all sessions since Valkey was started or wiped.

    Parameters
    ----------
    frames : mapping
        Numbers of frames received, processed, superseded and dropped.
    ages : sequence of (str, float)
        How many results had at most such an age: bounds in s, the last one infinite; cumulative.
    age_sum : float
        Of all results, in s.
    """

    frames: Mapping[str, int]
    ages: Sequence[tuple[str, float]]
    age_sum: float

    @classmethod
    def of(cls, redis: Redis) -> "Totals":
        """As they are now."""
        found = cast("dict[bytes, bytes]", redis.hgetall(TOTALS))
        number = {name.decode(): int(value) for name, value in found.items()}
        names = [(str(bound / 1000), f"age {bound}") for bound in AGES] + [("+Inf", "age more")]
        below = accumulate(number.get(name, 0) for _, name in names)
        return cls(
            {name: number.get(name, 0) for name in OUTCOMES},
            [(bound, float(n)) for (bound, _), n in zip(names, below, strict=True)],
            number.get("ms", 0) / 1000,
        )


@dataclass(frozen=True)
class Block:
    """Rows of a frame on their way in."""

    frame: int
    first_row: int
    rows: int
    pixels: bytes  # little-endian
    captured_at: float  # seconds since the epoch, NaN where nobody said


@dataclass(frozen=True)
class Work:
    """Rows of one frame for the worker, in as few pieces as they lie together."""

    frame: int
    ranges: Sequence[tuple[int, int]]  # first row, rows
    received_at: float
    captured_at: float
    waiting: int  # frames behind this one
    now: float  # by Valkey's clock


class Overtaken(Exception):  # noqa: N818  (not an error: the session has ended or moved on)
    """The session is another worker's now, or nobody's."""


def places(redis: Redis) -> list[str]:
    """The ids of all sessions that have a place in Valkey."""
    found = redis.scan_iter(match=f"{PREFIX}*:state", count=1000)
    return [name.decode().removeprefix(PREFIX).removesuffix(":state") for name in found]


def end(redis: Redis, session_id: str) -> None:
    """Remove all pixels of a session, and tell who waits."""
    script = redis.register_script(_source("end"))
    script(args=[f"{PREFIX}{session_id}:", LIVE_CHANNEL, session_id, REMEMBERED])


@dataclass(frozen=True)
class Transport:
    """One session's place in Valkey."""

    redis: Redis
    session: SessionRecord
    _scripts: dict[str, Any] = field(default_factory=dict)

    @property
    def _prefix(self) -> str:
        return f"{PREFIX}{self.session.id}:"

    # --- who sends ---

    def create(self) -> None:
        """Make the place if it is not there, as after Valkey was wiped.

        Results are numbered on from the milliseconds of the session's life, so that who resumes by
        a number from before misses none.
        """
        base = max(0, round(1000 * (time.time() - self.session.created_at)))
        self._run("create", self.session.attempt, base)

    def put(self, block: Block, rate: int) -> tuple[Outcome, Any]:
        """Hand rows in; what became of them, and the `Standing` where they were taken."""
        request = self.session.request
        answer = self._run(
            "put",
            block.frame,
            block.first_row,
            block.rows,
            request.shape[0],
            request.row_bytes,
            int(request.mode is Mode.LOSSLESS),
            WAITING[request.mode],
            request.keep_frames,
            rate,
            block.captured_at,
            block.pixels,
        )
        outcome = answer[0].decode()
        if outcome in ("taken", "repeated"):
            return outcome, _standing(answer[1], answer[2])
        return outcome, int(answer[1]) if len(answer) > 1 else None

    # --- who looks ---

    def standing(self) -> Standing | None:
        """How the session stands; None where Valkey has no place for it."""
        return self.look()[0]

    def look(self) -> tuple[Standing | None, bytes | None]:
        """How the session stands, and the newest result as a message."""
        pipeline = self.redis.pipeline(transaction=False)
        pipeline.hgetall(f"{self._prefix}state")
        pipeline.time()
        pipeline.get(f"{self._prefix}newest")
        fields, (seconds, micro), message = pipeline.execute()
        return Standing.of(fields, seconds + micro / 1e6) if fields else None, message

    def results(self) -> list[bytes]:
        """The results of the last whole frames, oldest first."""
        found = self.redis.lrange(f"{self._prefix}results", 0, -1)
        return cast("list[bytes]", found)[::-1]

    def raw(self, frame: int) -> NDArray[Any] | None:
        """A frame as it was measured, 0 where it was not; None when it is not held any more."""
        found = cast("bytes | None", self.redis.get(f"{self._prefix}raw:{frame}"))
        if found is None:
            return None
        request = self.session.request
        return self._pixels(found.ljust(request.frame_bytes, b"\0"))

    def kept(self) -> list[int]:
        """The whole frames that are held, oldest first."""
        return [int(each) for each in self.redis.lrange(f"{self._prefix}kept", 0, -1)]

    # --- who works ---

    def bind(self, attempt: int) -> tuple[int, list[int]]:
        """Work on the session from now on.

        The newest result's number, and the frames that are kept of before what is to be done.
        """
        answer = self._run("bind", attempt, LIVE_CHANNEL, self.session.id)
        if answer[0] == b"absent":
            self.create()
            answer = self._run("bind", attempt, LIVE_CHANNEL, self.session.id)
        if answer[0] != b"bound":
            raise Overtaken
        return int(answer[1]), [int(frame) for frame in answer[2]]

    def wait(self, seconds: float) -> None:
        """Wait until rows come, so many seconds at most."""
        self.redis.blpop([f"{self._prefix}bell"], timeout=seconds)

    def take(self, attempt: int) -> Work | None:
        """The rows to be worked on now; None when there are none.

        Raises
        ------
        Overtaken
        LostError
            When Valkey has lost the session.
        """
        answer = self._run("take", attempt)
        match answer[0]:
            case b"rows":
                _, frame, ranges, received, captured, waiting, now = answer
                return Work(
                    frame=int(frame),
                    ranges=_joined(ranges),
                    received_at=float(received),
                    captured_at=float(captured),
                    waiting=waiting,
                    now=float(now),
                )
            case b"nothing":
                return None
            case b"absent":
                raise LostError
            case _:
                raise Overtaken

    def rows(self, frame: int, first: int, count: int) -> NDArray[Any]:
        """Rows of a frame, shape (count, n)."""
        width = self.session.request.row_bytes
        data = self.redis.getrange(
            f"{self._prefix}raw:{frame}", first * width, (first + count) * width - 1
        )
        return self._pixels(cast("bytes", data))

    def publish(self, attempt: int, message: Message, history: int, course: str | None) -> None:
        """Show a result; raises `Overtaken` or `LostError` as `take` does."""
        answer = self._run(
            "publish",
            attempt,
            message.sequence,
            message.frame,
            int(message.rows == message.shape[0]),
            history,
            LIVE_CHANNEL,
            self.session.id,
            course or "",
            message.to_bytes(),
            message.age_ms,
            next((str(bound) for bound in AGES if message.age_ms <= bound), "more"),
        )
        if answer == b"absent":
            raise LostError
        if answer != b"published":
            raise Overtaken

    # --- who ends it ---

    def hold(self, seconds: float) -> None:
        """Take no more frames for so many seconds; 0 to take them again."""
        until = sum(t / s for t, s in zip(self.redis.time(), (1, 1e6), strict=True)) + seconds
        self.redis.hset(f"{self._prefix}state", "closing_until", until if seconds else 0)

    def _run(self, name: str, *arguments: Any) -> Any:
        # The prefix is an argument: the names of its keys follow from what the script finds.
        script = self._scripts.get(name)
        if script is None:
            script = self._scripts[name] = self.redis.register_script(_source(name))
        return script(args=[self._prefix, *arguments])

    def _pixels(self, data: bytes) -> NDArray[Any]:
        request = self.session.request
        dtype = np.dtype(request.dtype).newbyteorder("<")
        return np.frombuffer(data, dtype).reshape(-1, request.shape[1])


class LostError(Exception):
    """Valkey has no place for the session: it was wiped or restarted."""


@cache
def _source(name: str) -> str:
    return (SCRIPTS / f"{name}.lua").read_text("utf-8")


def _standing(fields: Sequence[bytes], now: bytes) -> Standing:
    return Standing.of(dict(zip(fields[::2], fields[1::2], strict=True)), float(now))


def _joined(ranges: Sequence[bytes]) -> list[tuple[int, int]]:
    """Ranges of rows in order, those that touch as one."""
    joined: list[tuple[int, int]] = []
    for text in sorted(ranges, key=lambda each: int(each.split(b",")[0])):
        first, count = map(int, text.split(b","))
        if joined and sum(joined[-1]) == first:
            joined[-1] = (joined[-1][0], joined[-1][1] + count)
        else:
            joined.append((first, count))
    return joined


def _frame(number: int) -> int | None:
    return None if number < 0 else number
