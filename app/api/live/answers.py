"""A live frame as an answer: numbers or a picture, and what else is to be known of it."""

import io
import math
import tempfile
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from starlette.responses import Response

from app.api.live.feeds import Look
from app.http.problems import Responses
from worker.contract import ImageInfo, SessionRecord
from worker.formats import MEDIA_TYPES
from worker.formats.writing import write
from worker.live.messages import Flag, Message
from worker.live.transport import Standing

LiveFormat = Literal["raw", "npy", "png", "tiff"]

OCTETS = "application/octet-stream"
LIVE_HEADERS = {
    "Reucid-Rows": "Rows of the frame that are in it, `first-last`, from 0; others are NaN.",
    "Reucid-Sequence": "Number of the result: pass it as `after`.",
    "Reucid-Age-Ms": "Since the last row in it was received.",
    "Reucid-Captured-At": "When that was captured, as the client said.",
    "Reucid-Undenoised": "`true` where too little came yet, or all has one value: raw values.",
    "Reucid-Received": "Frames of which rows came.",
    "Reucid-Processed": "Whole frames whose result was shown.",
    "Reucid-Superseded": "Frames that were shown in part.",
    "Reucid-Dropped": "Frames that were never looked at.",
    "Reucid-Restarts": "Workers that were lost, each replaced by another.",
}
NUMBERS = {
    "Reucid-Shape": "Rows and columns: `m,n`.",
    "Reucid-Dtype": "`<f4`; of a raw frame, its own.",
    "Reucid-Frame": "Number of the frame.",
}
PIXELS: Responses = {
    200: {
        "content": {
            media: {"schema": {"type": "string", "format": "binary"}}
            for media in (OCTETS, *(MEDIA_TYPES[each] for each in ("npy", "png", "tiff")))
        },
        "description": "The frame",
        "headers": {
            name: {"description": said, "schema": {"type": "string"}}
            for name, said in (NUMBERS | LIVE_HEADERS).items()
        },
    }
}


def of_result(
    session: SessionRecord, message: Message, format_: LiveFormat, look: Look | None = None
) -> Response:
    """A result, shape (m, n); of rows that are not in it, NaN."""
    image = np.full(message.shape, np.nan, np.float32)
    image[message.first_row : message.first_row + message.rows] = message.pixels
    last = message.first_row + message.rows - 1
    age = message.age_ms if look is None or look.age_ms is None else look.age_ms
    headers = {
        "Reucid-Frame": str(message.frame),
        "Reucid-Rows": f"{message.first_row}-{last}",
        "Reucid-Sequence": str(message.sequence),
        "Reucid-Age-Ms": str(age),
        "Reucid-Undenoised": str(Flag.UNDENOISED in message.flags).lower(),
    } | (counted(look.standing) if look and look.standing else {})
    if not math.isnan(message.captured_at):
        at = datetime.fromtimestamp(message.captured_at, UTC)
        headers["Reucid-Captured-At"] = at.isoformat(timespec="microseconds")
    return _answer(session, image, format_, headers)


def of_raw(
    session: SessionRecord, pixels: NDArray[Any], frame: int, format_: LiveFormat
) -> Response:
    """A frame as it was measured, shape (m, n)."""
    return _answer(session, pixels, format_, {"Reucid-Frame": str(frame)})


def counted(standing: Standing) -> dict[str, str]:
    """What came of a session's frames, as headers."""
    return {
        "Reucid-Received": str(standing.received),
        "Reucid-Processed": str(standing.processed),
        "Reucid-Superseded": str(standing.superseded),
        "Reucid-Dropped": str(standing.dropped),
        "Reucid-Restarts": str(standing.attempt - 1),
    }


def info_of(session: SessionRecord, shape: tuple[int, ...], dtype: str) -> ImageInfo:
    """What is known of an image of a session."""
    request = session.request
    return ImageInfo("tiff", shape, dtype, request.pixel_size, request.unit)


def _answer(
    session: SessionRecord, pixels: NDArray[Any], format_: LiveFormat, headers: Mapping[str, str]
) -> Response:
    headers = dict(headers) | {
        "Reucid-Shape": ",".join(map(str, pixels.shape)),
        "Reucid-Dtype": pixels.dtype.str,
    }
    if format_ == "raw":
        return Response(pixels.tobytes(), media_type=OCTETS, headers=headers)
    if format_ == "npy":
        buffer = io.BytesIO()
        np.save(buffer, pixels)
        return Response(buffer.getvalue(), media_type=MEDIA_TYPES["npy"], headers=headers)
    if format_ == "png":
        pixels = np.nan_to_num(pixels, nan=float(np.nanmin(pixels)))
    info = info_of(session, pixels.shape, pixels.dtype.name)
    with tempfile.TemporaryDirectory(prefix="reucid-") as folder:
        path = Path(folder) / "frame"
        write(path, pixels, info, format_)
        content = path.read_bytes()
    return Response(content, media_type=MEDIA_TYPES[format_], headers=headers)
