"""A microscope's file as an array with calibration, and an array as a file."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from worker import formats
from worker.contract import ImageInfo
from worker.denoising.selection import Selection, read_signal
from worker.formats import Look
from worker.store import write_atomic


@dataclass(frozen=True)
class Axis:
    """One axis of an image.

    Parameters
    ----------
    name : {"frame", "y", "x"}
    size : int
    scale : float or None
        From one sample to the next, in `unit`; None where the file does not say.
    unit : str or None
    offset : float
        Of the first sample, in `unit`.
    """

    name: str
    size: int
    scale: float | None
    unit: str | None
    offset: float


@dataclass(frozen=True)
class Image:
    """An image, or a stack of frames, and what its file says of it.

    Parameters
    ----------
    pixels : ndarray, shape (m, n) or (frames, m, n)
        In the file's own type, native byte order, finite.
    info : ImageInfo
        Title, detector, beam energy (keV), dwell time (s), dose, metadata, notes.
    """

    pixels: NDArray[Any]
    info: ImageInfo

    @property
    def axes(self) -> tuple[Axis, ...]:
        """Of the array, in its order."""
        info = self.info
        height, width = info.pixel_size or (None, None)
        top, left = info.origin or (0.0, 0.0)
        sides = [("y", height, info.unit, top), ("x", width, info.unit, left)]
        if len(info.shape) == 3:
            sides.insert(0, ("frame", info.frame_step, info.frame_unit, info.frame_origin or 0.0))
        return tuple(
            Axis(name, size, scale, unit, offset)
            for size, (name, scale, unit, offset) in zip(info.shape, sides, strict=True)
        )


def read(path: str | Path, signal: int | str | None = None, frame: int | None = None) -> Image:
    """Read an image signal of a file in any format of `docs/formats.md`.

    Parameters
    ----------
    path : str or Path
        An EMI file's series are found beside it.
    signal : int or str, optional
        Position from 0, or title, as `reucid inspect` lists them. By default the only one, or the
        one marked there.
    frame : int, optional
        One frame of a stack, from 0. By default all of them.

    Raises
    ------
    FormatError
        When the file has no image, or cannot be read.
    ParameterError
        When it has no such signal or frame, or several and none is its default.
    FileNotFoundError
    """
    pixels, chosen = read_signal(Path(path), Selection(signal=signal, frame=frame))
    return Image(pixels, chosen.info)


def write(
    path: str | Path,
    pixels: NDArray[Any],
    like: Image | ImageInfo,
    *,
    source: bool = False,
    look: Look | None = None,
) -> None:
    """Write pixels with the calibration of the image they were made from; whole or not at all.

    Parameters
    ----------
    path : str or Path
        Its suffix says the format: .tif, .mrc, .hspy, .npy or .png. What lies there is replaced.
    pixels : ndarray, shape (m, n) or (frames, m, n)
    like : Image or ImageInfo
    source : bool
        Write the type of the source: rounded half to even, clipped to its range.
    look : Look, optional
        Of a .png.

    Raises
    ------
    FormatError
        When the suffix is that of no format.
    """
    path = Path(path)
    format_ = formats.format_of(path)
    info = like.info if isinstance(like, Image) else like
    with write_atomic(path) as temporary:
        formats.write(temporary, pixels, info, format_, source=source, look=look)
