"""Any file in: its image signals checked, decoded, and what is known of each.

The format of a file is told by its content, never by its name. Nothing here is called on a client's
file but in the child process of `worker.decoding.parent`.
"""

import re
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from reucid_core.errors import ImageError
from reucid_core.image import check_image
from worker.contract import FileInfo, ImageInfo, SkippedSignal
from worker.formats import (
    arrays,
    dm,
    hierarchical,
    hspy,
    mrc,
    ncem,
    npy,
    png,
    ser,
    tia,
    tiff,
    velox,
)
from worker.formats.catalogue import READABLE
from worker.formats.errors import FormatError, LimitError, exceeded
from worker.formats.file_limits import MOST_FRAMES, MOST_SIGNALS
from worker.formats.metadata import instrument, json_safe
from worker.formats.signals import Found, Pixels, Refused, Signals
from worker.formats.text import plain

HDF5_MAGIC = b"\x89HDF\r\n\x1a\n"
MAGIC = {
    b"II*\0": "tiff",
    b"MM\0*": "tiff",
    b"II+\0": "tiff",
    b"MM\0+": "tiff",
    b"\x89PNG\r\n\x1a\n": "png",
    b"\x93NUMPY": "npy",
    ser.MAGIC: "ser",
    b"JK\x00\x02": "emi",
    b"\0\0\0\x03": "dm3",
    b"\0\0\0\x04": "dm4",
}
OPENED = {
    "tiff": tiff.opened,
    "png": png.opened,
    "npy": npy.opened,
    "dm3": dm.opened,
    "dm4": dm.opened,
    "ser": tia.opened_ser,
    "mrc": mrc.opened,
    "velox": velox.opened,
    "ncem": ncem.opened,
    "hspy": hspy.opened,
    "hdf5": arrays.opened,
}
WIDEST = 8  # bytes of a float
# What is denoised when nobody chose: the first signal by the first of these that any fits.
PREFERRED = tuple(
    re.compile(each, re.IGNORECASE)
    for each in (r"haadf", r"(?<![a-z])[ml]?a?adf|annular dark|(?<![a-z])df[0-9]*(?![a-z])")
)


@dataclass(frozen=True)
class Decoded:
    """A file's image signals: the pixels of each, and what is known of them."""

    pixels: list[Pixels]
    info: FileInfo


def read(path: Path, *, max_pixels: int, companions: Sequence[Path] = ()) -> Decoded:
    """Read every image signal of a file.

    Parameters
    ----------
    path : Path
    max_pixels : int
        Refuse more in all frames of all signals, before any is decoded.
    companions : sequence of Path
        The SER files of an EMI file.

    Returns
    -------
    Decoded
        Pixels have shape (m, n), or (frames, m, n) for a stack, in the file's own type, native
        byte order, finite.

    Raises
    ------
    FormatError
        When the file has no image signal that can be denoised, or cannot be read.
    """
    format_ = ""
    try:
        format_ = recognise(path)
        if companions and format_ != "emi":
            raise FormatError(
                "unexpected_file",
                f"got {1 + len(companions)} files, expected one, or an EMI file with its SER files",
            )
        with _opened(format_, path, companions) as signals:
            return _decode(format_, signals, max_pixels)
    except (FormatError, MemoryError):
        raise
    except Exception as error:  # whatever a decoder throws at a broken file
        raise FormatError(
            "damaged_file",
            f"the {format_.upper() or 'HDF5'} file is truncated or damaged: {error}",
        ) from error


def recognise(path: Path) -> str:
    """The name of a file's format."""
    with path.open("rb") as file:
        head = file.read(216)
    if not head:
        raise FormatError("empty_file", "got a file of 0 bytes, expected an image")
    if head.startswith(HDF5_MAGIC):
        return hierarchical.kind_of(path)
    if head[mrc.MAP_AT : mrc.MAP_AT + 4] == mrc.MAP:
        return "mrc"
    for magic, format_ in MAGIC.items():
        if head.startswith(magic):
            return format_
    if mrc.is_mrc(head, path.stat().st_size):
        return "mrc"
    raise FormatError(
        "unsupported_format",
        f"got a file that begins with {head[:8]!r}, expected one of {READABLE}",
    )


def _opened(
    format_: str, path: Path, companions: Sequence[Path]
) -> AbstractContextManager[Signals]:
    if format_ == "emi":
        return tia.opened_emi(path, companions)
    return OPENED[format_](path)


def _decode(format_: str, signals: Signals, max_pixels: int) -> Decoded:
    if len(signals) > MOST_SIGNALS:
        raise exceeded("max_signals", "signals", MOST_SIGNALS, len(signals))
    found, refused = _sorted_out(signals)
    _check_size(found, max_pixels)
    pixels: list[Pixels] = []
    infos: list[ImageInfo] = []
    for signal in found:
        try:
            pixels.append(_loaded(signal))
            infos.append(_info(format_, signal, pixels[-1]))
        except FormatError as error:
            refused.append(Refused(signal.title, error))
    if not pixels:
        raise _no_image(refused)
    skipped = tuple(SkippedSignal(plain(each.title, 200), str(each.error)) for each in refused)
    default = None if format_ == "hdf5" and len(infos) > 1 else default_signal(infos)
    return Decoded(pixels, FileInfo(format_, tuple(infos), skipped, default))


def _sorted_out(signals: Signals) -> tuple[list[Found], list[Refused]]:
    """What can be an image by its shape and type, and what cannot."""
    found: list[Found] = []
    refused: list[Refused] = []
    for signal in signals:
        if isinstance(signal, Refused):
            refused.append(signal)
            continue
        try:
            _check_header(signal)
            found.append(signal)
        except ImageError as error:
            refused.append(Refused(signal.title, FormatError(error.code, str(error))))
    return found, refused


def _check_header(signal: Found) -> None:
    if signal.dtype.kind == "f" and signal.dtype.itemsize > WIDEST:
        raise ImageError(f"got an image of {signal.dtype}, expected floats of at most 64 bits")
    stacked = len(signal.shape) == 3 and signal.shape[0] > 0
    check_image(np.broadcast_to(np.zeros((), signal.dtype), signal.shape[stacked:]))


def _check_size(found: Sequence[Found], max_pixels: int) -> None:
    frames = max((each.shape[0] for each in found if len(each.shape) == 3), default=1)
    if frames > MOST_FRAMES:
        raise exceeded("max_frames", "frames in a signal", MOST_FRAMES, frames)
    total = sum(int(np.prod(each.shape, dtype=object)) for each in found)
    if total > max_pixels:
        raise LimitError(
            "too_many_pixels",
            f"got an image of {total} pixels, at most {max_pixels} are accepted (max_pixels)",
            "max_pixels",
            max_pixels,
            total,
        )


def _loaded(signal: Found) -> Pixels:
    pixels = np.asarray(signal.load())
    pixels = np.ascontiguousarray(pixels, dtype=pixels.dtype.newbyteorder("="))
    if pixels.shape != signal.shape:
        raise FormatError(
            "damaged_file", f"got pixels of shape {pixels.shape}, the header says {signal.shape}"
        )
    broken = pixels.size - int(np.count_nonzero(np.isfinite(pixels)))
    if broken:
        raise FormatError(
            "invalid_image",
            f"got {broken} pixels that are NaN or infinite, expected none: replace them or crop "
            "the image first",
        )
    return pixels


def _info(format_: str, signal: Found, pixels: Pixels) -> ImageInfo:
    taken = instrument(signal.metadata, signal.title)
    scale = signal.calibration
    return ImageInfo(
        format=format_,
        shape=pixels.shape,
        dtype=pixels.dtype.name,
        pixel_size=scale.pixel_size,
        unit=scale.unit,
        metadata=json_safe(signal.metadata),
        title=plain(signal.title, 200),
        frame_step=scale.frame_step,
        frame_unit=scale.frame_unit,
        detector=None if taken.detector is None else plain(taken.detector, 100),
        beam_energy=taken.beam_energy,
        dwell_time=taken.dwell_time,
        dose=taken.dose(scale.pixel_size, scale.unit),
        origin=scale.origin,
        frame_origin=scale.frame_origin,
        notes=tuple(plain(note, 300) for note in (*signal.notes, *scale.notes)),
    )


def _no_image(refused: Sequence[Refused]) -> FormatError:
    if len(refused) == 1:
        return refused[0].error
    reasons = "; ".join(f"{each.title!r}: {each.error}" for each in refused[:8])
    return FormatError(
        "no_image", f"got no image among {len(refused)} signals, expected one: {reasons or 'none'}"
    )


def default_signal(signals: Sequence[ImageInfo]) -> int:
    """The signal to denoise when none is chosen: HAADF, else another dark field, else the first."""
    for pattern in PREFERRED:
        for index in _matching(signals, pattern):
            return index
    return 0


def _matching(signals: Sequence[ImageInfo], pattern: re.Pattern[str]) -> Iterator[int]:
    for index, signal in enumerate(signals):
        if pattern.search(f"{signal.detector or ''} {signal.title}"):
            yield index
