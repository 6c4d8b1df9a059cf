"""What readers find in a file: signals, each with a way to get at its pixels."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from worker.formats.calibration import Calibration
from worker.formats.errors import FormatError

Pixels = NDArray[Any]


@dataclass(frozen=True)
class Found:
    """A signal that may be an image; its pixels are not decoded before its header is checked.

    Parameters
    ----------
    shape : tuple of int
        (rows, columns) or (frames, rows, columns).
    load : callable
        Its pixels, in that shape.
    """

    title: str
    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    load: Callable[[], Any]
    calibration: Calibration = field(default_factory=Calibration)
    metadata: Mapping[str, Any] = field(default_factory=dict)
    notes: tuple[str, ...] = ()  # beside those of the calibration


@dataclass(frozen=True)
class Refused:
    """A signal that is no image to denoise, and why."""

    title: str
    error: FormatError


Signals = list[Found | Refused]


def not_grayscale(what: str) -> FormatError:
    """For colours and anything else of more than one value a pixel."""
    return FormatError(
        "not_grayscale", f"got {what}, expected one grayscale channel: convert the image first"
    )


def not_an_image(what: str) -> FormatError:
    """For spectra and the like."""
    return FormatError("not_an_image", f"got {what}, expected an image or a stack of images")
