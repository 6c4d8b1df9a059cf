"""Rows of live frames and results as bytes, and what is asked by REST beside them."""

from __future__ import annotations

import math
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timezone
from typing import Any

import httpx
import numpy as np

from reucid_client.exchange import Array, Exchange, Request, identified
from reucid_client.models import Job

HEADER = struct.Struct("<4sHBBIIQIIQddII")  # docs/live.md has what each is
MAGIC, MEASURED = b"RCD1", 1
TYPES = {1: "uint8", 2: "uint16", 3: "int16", 4: "uint32", 5: "float32"}
CODES = {name: code for code, name in TYPES.items()}
WHOLE, UNDENOISED = 1, 2
OF_SESSIONS = (
    *("dtype", "mode", "deadline_ms", "memory_frames", "keep_frames", "history", "pixel_size"),
    *("unit", "external_id", "sample_id", "labels", "metadata"),
)


@dataclass(frozen=True)
class Rows:
    """Rows of a frame on their way to the server.

    Parameters
    ----------
    frame : int
    first_row : int
    shape : (int, int)
        Of the whole frame.
    pixels : ndarray, shape (k, n)
        Little-endian.
    captured_at : float
        Seconds since 1970; NaN: not said.
    """

    frame: int
    first_row: int
    shape: tuple[int, int]
    pixels: Array = field(repr=False)
    captured_at: float

    def to_bytes(self) -> bytes:
        """As a message of the stream."""
        head = HEADER.pack(
            MAGIC,
            HEADER.size,
            MEASURED,
            CODES[self.pixels.dtype.name],
            *self.shape,
            self.frame,
            self.first_row,
            len(self.pixels),
            0,  # results alone have a number
            self.captured_at,
            math.nan,
            0,
            0,
        )
        return head + self.pixels.tobytes()


@dataclass(frozen=True)
class LiveResult:
    """A frame denoised as far as it was scanned.

    Parameters
    ----------
    sequence : int
        Number of the result; where some are missing, newer ones came before they could be sent.
    frame : int
    shape : (int, int)
        Of the whole frame.
    first_row : int
    pixels : ndarray, shape (k, n), float32
        From the first row that was scanned to the last; NaN in those between that were not.
    complete : bool
        Whether all rows are there.
    denoised : bool
        False: raw values, for too little came yet or all has one value.
    captured_at : float or None
        When the last row was captured, as its sender said, in seconds since 1970.
    age_ms : int
        From the reception of the last row to the result.
    """

    sequence: int
    frame: int
    shape: tuple[int, int]
    first_row: int
    pixels: Array = field(repr=False)
    complete: bool
    denoised: bool
    captured_at: float | None
    age_ms: int

    @property
    def image(self) -> Array:
        """The whole frame, shape (m, n), float32; NaN in rows that were not scanned. A copy."""
        image = np.full(self.shape, np.nan, np.float32)
        image[self.first_row : self.first_row + len(self.pixels)] = self.pixels
        return image

    @classmethod
    def of_message(cls, data: bytes) -> LiveResult:
        """From a binary message of the stream."""
        names = "magic size kind type rows columns frame first count sequence captured received age"
        head = dict(zip([*names.split(), "flags"], HEADER.unpack_from(data)))
        if head["magic"] != MAGIC or head["type"] not in TYPES:
            raise ValueError(f"got a message that begins with {data[:8]!r}, expected {MAGIC!r}")
        dtype = np.dtype(TYPES[head["type"]]).newbyteorder("<")
        pixels = np.frombuffer(data, dtype, offset=head["size"])
        return cls(
            sequence=head["sequence"],
            frame=head["frame"],
            shape=(head["rows"], head["columns"]),
            first_row=head["first"],
            pixels=pixels.reshape(head["count"], head["columns"]),
            complete=bool(head["flags"] & WHOLE),
            denoised=not head["flags"] & UNDENOISED,
            captured_at=None if math.isnan(head["captured"]) else head["captured"],
            age_ms=head["age"],
        )

    @classmethod
    def of_answer(cls, answer: httpx.Response) -> LiveResult:
        """From an answer with raw pixels."""
        head = answer.headers
        m, n = map(int, head["Reucid-Shape"].split(","))
        first, last = map(int, head["Reucid-Rows"].split("-"))
        pixels = np.frombuffer(answer.content, "<f4").reshape(m, n)[first : last + 1]
        captured = head.get("Reucid-Captured-At")
        return cls(
            sequence=int(head["Reucid-Sequence"]),
            frame=int(head["Reucid-Frame"]),
            shape=(m, n),
            first_row=first,
            pixels=pixels,
            complete=len(pixels) == m,
            denoised=head["Reucid-Undenoised"] != "true",
            captured_at=None if captured is None else datetime.fromisoformat(captured).timestamp(),
            age_ms=int(head["Reucid-Age-Ms"]),
        )


def open_session(shape: Sequence[int], options: Mapping[str, Any]) -> Exchange[dict[str, Any]]:
    """A new session; sent again after a failure, the same one."""
    stated = {name: options[name] for name in OF_SESSIONS if options.get(name) is not None}
    params = {name: value for name, value in options.items() if name not in OF_SESSIONS}
    body = {"shape": list(shape), "params": params, **stated}
    request = Request("POST", "/v1/sessions", json=body, headers=identified())
    data: dict[str, Any] = (yield request).json()
    return data


def show_session(session_id: str) -> Exchange[dict[str, Any]]:
    """A session as it stands."""
    data: dict[str, Any] = (yield Request("GET", f"/v1/sessions/{session_id}")).json()
    return data


def put_rows(session_id: str, rows: Rows) -> Request:
    """Rows of a frame by REST."""
    last = rows.first_row + len(rows.pixels) - 1
    headers = {"Reucid-Rows": f"{rows.first_row}-{last}"}
    if not math.isnan(rows.captured_at):
        at = datetime.fromtimestamp(rows.captured_at, timezone.utc)
        headers["Reucid-Captured-At"] = at.isoformat(timespec="microseconds")
    here = f"/v1/sessions/{session_id}/frames/{rows.frame}"
    return Request("PUT", here, headers=headers, content=rows.pixels.tobytes())


def newest(session_id: str, after: int, wait: float) -> Request:
    """The newest result by REST, or 204."""
    return Request("GET", f"/v1/sessions/{session_id}/latest", {"after": after, "wait": wait})


def keep(session_id: str, what: str) -> Exchange[Job]:
    """A job of what is held; sent again after a failure, the same one."""
    here, body = f"/v1/sessions/{session_id}/keep", {"keep": what}
    response = yield Request("POST", here, json=body, headers=identified())
    return Job.of(response.json())


def close(session_id: str, what: str | None) -> Exchange[Job | None]:
    """The end of a session; the job that was made of it."""
    response = yield Request("POST", f"/v1/sessions/{session_id}/close", json={"keep": what})
    jobs = response.json()["jobs"]
    if what is None:
        return None
    response = yield Request("GET", f"/v1/jobs/{jobs[-1]}")
    return Job.of(response.json())
