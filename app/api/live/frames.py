"""Rows of frames on their way in: checked, and in Valkey before they are answered."""

import math
import re
from datetime import UTC, datetime

import numpy as np

from app.api.live.gate import Admitted, ended
from app.api.services import Services
from app.http.problems import FieldError, Limit, Problem, invalid
from worker.live.messages import Kind, Message
from worker.live.transport import WAITING, Block, Standing

ROWS = re.compile(r"([0-9]{1,9})-([0-9]{1,9})")
LARGEST_FRAME = 2**53 - 1  # that scripts in Valkey count exactly


def rows_of(shape: tuple[int, int], stated: str | None) -> tuple[int, int]:
    """The first row and the number of rows that a `Reucid-Rows` header names; all without one."""
    m, _ = shape
    if stated is None:
        return 0, m
    found = ROWS.fullmatch(stated.strip())
    first, last = (int(found[1]), int(found[2])) if found else (0, -1)
    if not 0 <= first <= last < m:
        message = (
            f"got {stated[:40]!r}, expected FIRST-LAST with 0 <= FIRST <= LAST <= {m - 1}: a frame "
            f"has {m} rows"
        )
        raise invalid([FieldError(field="header.Reucid-Rows", message=message)])
    return first, last - first + 1


def captured(stated: str | None) -> float:
    """When a frame was captured, by a `Reucid-Captured-At` header, in seconds since the epoch."""
    if stated is None:
        return math.nan
    try:
        moment = datetime.fromisoformat(stated.strip())
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
    except (ValueError, OverflowError):
        message = f"got {stated[:40]!r}, expected a time, as in 2026-11-26T09:30:00.125Z"
        raise invalid([FieldError(field="header.Reucid-Captured-At", message=message)]) from None


def block_of(admitted: Admitted, data: bytes) -> Block:
    """The rows in a binary message of a client."""
    message = Message.from_bytes(data)
    request = admitted.session.request
    m, n = request.shape
    got = f"{message.shape[0]} x {message.shape[1]} {message.pixels.dtype.name}"
    if message.kind is not Kind.MEASURED:
        raise wrong_size("got denoised rows, expected measured ones (kind 1)")
    if message.shape != request.shape or message.pixels.dtype.name != request.dtype:
        raise wrong_size(f"got a frame of {got}, expected {m} x {n} {request.dtype}")
    if not 0 < message.rows <= m - message.first_row:
        raise wrong_size(
            f"got {message.rows} rows from row {message.first_row}, expected some of {m}"
        )
    return Block(
        message.frame,
        message.first_row,
        message.rows,
        message.pixels.tobytes(),
        message.captured_at,
    )


def wrong_size(detail: str) -> Problem:
    """422 for pixels that are not those of the rows."""
    return Problem(422, "wrong_size", detail)


async def put(services: Services, admitted: Admitted, block: Block) -> tuple[Standing, bool]:
    """Hand rows in; how the session stands then, and whether they were there before.

    Raises
    ------
    Problem
        When the session does not take them.
    """
    admitted.check_open()
    _check(admitted, block)
    rate = services.settings.live_rate
    outcome, answer = await services.live.ask(admitted.transport.put, block, rate)
    if outcome == "absent":  # Valkey was wiped, or the session has just been opened elsewhere
        await services.live.ask(admitted.transport.create)
        outcome, answer = await services.live.ask(admitted.transport.put, block, rate)
    if outcome in ("taken", "repeated"):
        return answer, outcome == "repeated"
    raise _refused(admitted, block, outcome, answer, rate)


def _check(admitted: Admitted, block: Block) -> None:
    request = admitted.session.request
    if block.frame > LARGEST_FRAME:
        message = f"got frame {block.frame}, at most {LARGEST_FRAME} is counted"
        raise invalid([FieldError(field="frame", message=message)])
    expected = block.rows * request.row_bytes
    if len(block.pixels) != expected:
        raise wrong_size(
            f"got {len(block.pixels)} bytes, expected {expected}: {block.rows} rows of "
            f"{request.shape[1]} {request.dtype}"
        )
    is_float = np.dtype(request.dtype).kind == "f"
    if is_float and not np.isfinite(np.frombuffer(block.pixels, f"<f{request.itemsize}")).all():
        raise Problem(422, "invalid_image", "got NaN or infinite pixels, expected finite ones")


def _refused(
    admitted: Admitted, block: Block, outcome: str, newest: int | None, rate: int
) -> Problem:
    request = admitted.session.request
    match outcome:
        case "passed":
            return Problem(
                409,
                "frame_passed",
                f"got rows of frame {block.frame}, frame {newest} has begun: frames come in order",
            )
        case "overlap":
            last = block.first_row + block.rows - 1
            return Problem(
                409,
                "rows_overlap",
                f"got rows {block.first_row} to {last} of frame {block.frame}, of which some came "
                "before and others did not: send each row once",
            )
        case "full":
            most = WAITING[request.mode]
            return Problem(
                429,
                "session_full",
                f"{most} frames wait for the worker already: send this one again, or use mode "
                "latest",
                headers={"Retry-After": "1"},
                limit=Limit(name="live_waiting", value=most, got=most + 1),
            )
        case "rate":
            return Problem(
                429,
                "rate_limited",
                f"got more than {rate} blocks in a second (live_rate): send more rows in each",
                headers={"Retry-After": "1"},
                limit=Limit(name="live_rate", value=rate, got=rate + 1),
            )
        case _:
            return ended(admitted.session)
