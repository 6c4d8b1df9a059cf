"""A microscope: rows of a drifting low-dose specimen, each block when its last row is scanned."""

import math
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
from numpy.typing import NDArray

from reucid_core.errors import ParameterError
from reucid_core.training.micrographs import fields
from reucid_core.training.micrographs.drifting import Drifting
from reucid_core.training.micrographs.scan_spectra import WHITE, ScanSpectrum

Frame = NDArray[np.uint16]

MEASURED = ScanSpectrum(decay=0.39, next_pixel=0.69, streaks=0.02, length=50.0)
DIRECTION = math.radians(53)  # of the drift
MADE = 24  # frames of each specimen, before the scan begins


@dataclass(frozen=True)
class Block:
    """Rows as they come from the detector.

    Parameters
    ----------
    frame : int
        Its number, from 0.
    first_row : int
    rows : ndarray, shape (k, n), uint16
    captured_at : datetime
        When the last of them was scanned, UTC.
    """

    frame: int
    first_row: int
    rows: Frame
    captured_at: datetime


def specimens(
    materials: Sequence[str],
    *,
    shape: tuple[int, int],
    drift: float,
    dose: float,
    measured: bool,
    seed: int,
) -> list[Drifting]:
    """Specimens of bundled fields, one after another in the scan.

    Raises
    ------
    ParameterError
        When there is no such material; it names all.
    """
    for material in materials:
        if material not in fields.materials():
            names = ", ".join(fields.materials())
            raise ParameterError("material", f"got {material!r}, expected one of {names}")
    return [
        Drifting(
            material=material,
            shape=shape,
            drift=(drift * math.cos(DIRECTION), drift * math.sin(DIRECTION)),
            dose=dose,
            spectrum=MEASURED if measured else WHITE,
            seed=seed + number,
        )
        for number, material in enumerate(materials)
    ]


class Film:
    """Frames of specimens one after another: made once, then shown forth and back."""

    def __init__(self, specimens: Sequence[Drifting], number: int) -> None:
        self._share = math.ceil(number / len(specimens))
        made = min(MADE, self._share)
        self._frames = [[each.counts(k) for k in range(made)] for each in specimens]

    def __getitem__(self, number: int) -> Frame:
        shot = self._frames[min(number // self._share, len(self._frames) - 1)]
        if len(shot) == 1:
            return shot[0]
        place = number % (2 * len(shot) - 2)
        return shot[min(place, 2 * len(shot) - 2 - place)]


def scan(
    film: Film,
    *,
    number: int,
    seconds: float,
    at_a_time: int,
    waits: bool = False,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], Any] = time.sleep,
) -> Iterator[Block]:
    """Scan frames at their pace.

    A microscope does not wait: frames that whoever takes the rows has no time for are left out.

    Parameters
    ----------
    film : Film
    number : int
        Of frames.
    seconds : float
        A frame.
    at_a_time : int
        Rows in a block.
    waits : bool
        Leave nothing out, however late it gets.
    clock, sleep : callable
        Seconds that pass, and a wait for some.
    """
    begun, started_at = clock(), datetime.now(UTC)
    for frame in range(number):
        if not waits and clock() - begun > (frame + 1) * seconds and frame + 1 < number:
            continue  # it was over before anybody had time for its first row
        image = film[frame]
        for first in range(0, len(image), at_a_time):
            rows = image[first : first + at_a_time]
            due = (frame + (first + len(rows)) / len(image)) * seconds
            left = begun + due - clock()
            if left > 0:
                sleep(left)
            yield Block(frame, first, rows, started_at + timedelta(seconds=due))
