"""TIFF, by tifffile: single images, multi-page stacks, OME-TIFF, ImageJ hyperstacks.

No other file is opened: an OME-TIFF that names others is read as if they were absent.
"""

import logging
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import tifffile

from worker.formats.errors import FormatError
from worker.formats.ome import OmeImage, read_ome
from worker.formats.signals import Found, Pixels, Refused, Signals, not_an_image, not_grayscale
from worker.formats.tiff_codecs import check_codec
from worker.formats.tiff_parts import CHANNELS, About, Part

# Slide scanners and cameras with readers of their own, that follow what the file says elsewhere; no
# electron microscope writes these, and their pages are read as those of any other file.
PLAIN: dict[str, Any] = {
    f"is_{kind}": False for kind in ("svs", "scn", "qpi", "ndpi", "bif", "avs", "eer")
}
PLAIN |= {"is_philips": False, "is_indica": False}
MULTI_FILE = {"mmstack", "ndtiff"}  # readers that look for files beside this one
PHOTOMETRIC = 262
INVERTED = "the file says that 0 is white: inverted, so that 0 is black"


@contextmanager
def opened(path: Path) -> Iterator[Signals]:
    """Every series of a TIFF file, and every channel of a series."""
    with ExitStack() as stack:
        with _no_page_lost():
            file = stack.enter_context(tifffile.TiffFile(path, _multifile=False, **PLAIN))
            _check_complete(file)
            images, notes = _ome(file)
            about = About(file, images, notes)
            for series in file.series:
                _check_codecs(series)
            parts = [
                part
                for number, series in enumerate(file.series, start=1)
                for part in about.parts(series, f"image {number}")
            ]
        yield [each for part in parts for each in _channels(part)]


def _ome(file: tifffile.TiffFile) -> tuple[list[OmeImage], tuple[str, ...]]:
    """What OME-XML says; where that cannot be read here, tifffile is not to read it either."""
    if not file.ome_metadata:
        return [], ()
    images, notes = read_ome(file.ome_metadata)
    if not images:
        file.is_ome = False
    return images, notes


def _check_codecs(series: tifffile.TiffPageSeries) -> None:
    """Again, of the pages as they are read; `worker.decoding.admission` reads them by itself."""
    for page in series.pages:
        if page is not None and page.keyframe is not None:
            check_codec(page.keyframe.compression)


def _check_complete(file: tifffile.TiffFile) -> None:
    foreign = MULTI_FILE & file.flags
    if foreign:
        raise FormatError(
            "unsupported_format",
            f"got a TIFF of the kind {', '.join(foreign)}, expected one that is complete in "
            "itself: export it as OME-TIFF or as an ImageJ stack",
        )


@contextmanager
def _no_page_lost() -> Iterator[None]:
    """Raise what tifffile only logs: pages beyond the end of the file, which it leaves out."""
    complaints = _Complaints(logging.ERROR)
    log = logging.getLogger("tifffile")
    log.addHandler(complaints)
    try:
        yield
    finally:
        log.removeHandler(complaints)
    if complaints.texts:
        raise FormatError(
            "damaged_file", f"the TIFF file is truncated or damaged: {complaints.texts[0]}"
        )


class _Complaints(logging.Handler):
    """Keeps what is said of lost pages."""

    def __init__(self, level: int) -> None:
        super().__init__(level)
        self.texts: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        text = record.getMessage()
        if "page offset" in text or "corrupt" in text:
            self.texts.append(text[:200])


def _channels(part: Part) -> Iterator[Found | Refused]:
    refusal = _refusal(part)
    if refusal is not None:
        yield Refused(part.title, refusal)
        return
    axes, shape = _without_singles(part.axes, part.shape)
    channel = next((axes.index(name) for name in CHANNELS if name in axes), None)
    count = 1 if channel is None else shape[channel]
    frames = [size for i, size in enumerate(shape[:-2]) if i != channel]
    of_image = (int(np.prod(frames)), *shape[-2:]) if frames else shape[-2:]
    inverted = _is_inverted(part.page)
    for index in range(count):

        def load(index: int = index) -> Pixels:
            pixels = part.load().reshape(shape)
            if channel is not None:
                pixels = np.moveaxis(pixels, channel, 0)[index]
            pixels = pixels.reshape(of_image)
            return _upright(pixels, part.page.bitspersample) if inverted else pixels

        yield Found(
            part.title if count == 1 else f"{part.title}, {part.channel(index)}",
            of_image,
            np.dtype(part.dtype),
            load,
            part.calibration,
            part.metadata,
            (*part.notes, *((INVERTED,) if inverted else ())),
        )


def _is_inverted(page: tifffile.TiffPage) -> bool:
    """Whether 0 is said to be white; a page that says nothing is taken as others are."""
    return PHOTOMETRIC in page.tags and page.photometric == tifffile.PHOTOMETRIC.MINISWHITE


def _upright(pixels: Pixels, bits: int) -> Pixels:
    """With 0 for black: 255 - v of 8 bits; of signed integers and floats, turned in their range."""
    if pixels.dtype.kind == "u":
        return np.asarray(2**bits - 1 - pixels, pixels.dtype)
    if pixels.dtype.kind == "i":
        return ~pixels
    return np.asarray(pixels.max(initial=0) - pixels, pixels.dtype)


def _refusal(part: Part) -> FormatError | None:
    page = part.page
    photometric = tifffile.PHOTOMETRIC(page.photometric)
    gray = photometric in (tifffile.PHOTOMETRIC.MINISBLACK, tifffile.PHOTOMETRIC.MINISWHITE)
    gray = gray or _is_gray_ramp(page.colormap)
    if page.bitspersample == 1:
        return not_grayscale("a bilevel TIFF, 1 bit per pixel")
    if page.samplesperpixel != 1 or not gray:
        return not_grayscale(
            f"a {photometric.name} TIFF with {page.samplesperpixel} samples per pixel"
        )
    if page.is_reduced:
        return not_an_image("a thumbnail of another image")
    if part.dtype is None or part.axes[-2:] != "YX":
        return not_an_image(f"a series with the axes {part.axes}")
    return None


def _without_singles(axes: str, shape: tuple[int, ...]) -> tuple[str, tuple[int, ...]]:
    """Axes and shape without leading axes of length 1."""
    kept = [i for i, size in enumerate(shape) if size != 1 or i >= len(shape) - 2]
    return "".join(axes[i] for i in kept), tuple(shape[i] for i in kept)


def _is_gray_ramp(colormap: Pixels | None) -> bool:
    """Whether a palette, shape (3, n), shows each index as a gray of its own, darkest first."""
    if colormap is None:
        return False
    red, green, blue = colormap.astype(np.int64)
    return bool((red == green).all() and (red == blue).all() and (np.diff(red) > 0).all())
