"""Rows of a frame as one binary message: a header of 64 bytes, then the pixels.

The same in both directions of the WebSocket and within Valkey; little-endian throughout.
"""

import math
import struct
from dataclasses import dataclass
from enum import IntEnum, IntFlag

import numpy as np
from numpy.typing import NDArray

MAGIC = b"RCD1"
HEADER = struct.Struct("<4sHBBIIQIIQddII")
# Codes of the pixel types; the numbers are for ever.
DTYPES = {1: "uint8", 2: "uint16", 3: "int16", 4: "uint32", 5: "float32"}
CODES = {name: code for code, name in DTYPES.items()}


class MessageError(Exception):
    """The bytes are no message."""


class Kind(IntEnum):
    """What the pixels are."""

    MEASURED = 1
    DENOISED = 2


class Flag(IntFlag):
    """What else is to be known of them."""

    WHOLE = 1  # all rows of the frame are in it
    UNDENOISED = 2  # nothing could be denoised: these are the rows as they were measured


NONE = Flag(0)


@dataclass(frozen=True)
class Message:
    """Rows of a frame.

    Parameters
    ----------
    kind : Kind
    shape : tuple of int
        Rows and columns of the whole frame.
    frame : int
    first_row : int
        Of the rows in it, from 0.
    pixels : ndarray, shape (rows, columns)
    sequence : int
        Of results, growing by one; 0 in what a client sends.
    captured_at, received_at : float
        When the last row was captured, by the client's clock, and when it was received, by
        Valkey's; seconds since the epoch, NaN where nobody said.
    age_ms : int
        From the reception of the last row to when the result was published.
    flags : Flag
    """

    kind: Kind
    shape: tuple[int, int]
    frame: int
    first_row: int
    pixels: NDArray[np.generic]
    sequence: int = 0
    captured_at: float = math.nan
    received_at: float = math.nan
    age_ms: int = 0
    flags: Flag = NONE

    @property
    def rows(self) -> int:
        return len(self.pixels)

    def to_bytes(self) -> bytes:
        """Header and pixels."""
        dtype = self.pixels.dtype
        head = HEADER.pack(
            MAGIC,
            HEADER.size,
            self.kind,
            CODES[dtype.name],
            *self.shape,
            self.frame,
            self.first_row,
            self.rows,
            self.sequence,
            self.captured_at,
            self.received_at,
            self.age_ms,
            self.flags,
        )
        return head + np.ascontiguousarray(self.pixels, dtype.newbyteorder("<")).tobytes()

    @classmethod
    def from_bytes(cls, data: bytes) -> "Message":
        """A message that came.

        Raises
        ------
        MessageError
        """
        if len(data) < HEADER.size or data[: len(MAGIC)] != MAGIC:
            raise MessageError(
                f"got {len(data)} bytes that begin with {data[:4]!r}, expected a header of "
                f"{HEADER.size} bytes that begins with {MAGIC!r}"
            )
        (
            _,
            size,
            kind,
            code,
            m,
            n,
            frame,
            first,
            rows,
            sequence,
            captured,
            received,
            age,
            flags,
        ) = HEADER.unpack_from(data)
        if size != HEADER.size or kind not in list(Kind) or code not in DTYPES:
            raise MessageError(
                f"got a header of {size} bytes, kind {kind}, pixel type {code}; expected "
                f"{HEADER.size} bytes, a kind of {', '.join(map(str, map(int, Kind)))} and a type "
                f"of {', '.join(map(str, DTYPES))}"
            )
        dtype = np.dtype(DTYPES[code]).newbyteorder("<")
        expected = rows * n * dtype.itemsize
        if len(data) - size != expected:
            raise MessageError(
                f"got {len(data) - size} bytes of pixels, expected {expected} for {rows} rows of "
                f"{n} {DTYPES[code]}"
            )
        pixels = np.frombuffer(data, dtype, offset=size).reshape(rows, n)
        return cls(
            Kind(kind), (m, n), frame, first, pixels, sequence, captured, received, age, Flag(flags)
        )
