"""A picture of an image: grays or colours between two percentiles, and a scale bar."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from worker.contract import ImageInfo
from worker.formats.colormaps import COLORMAPS
from worker.formats.conversion import to_dtype
from worker.formats.errors import FormatError
from worker.formats.pieces import Rows, percentiles
from worker.formats.png_rows import write_png
from worker.formats.units import NANOMETRES

__all__ = [
    "COLORMAPS",
    "Look",
    "check_one_frame",
    "display",
    "grays",
    "parse_percentiles",
    "picture",
    "write_picture",
]

DISPLAY_PERCENTILES = (0.1, 99.9)
WHOLE = 2**22  # px of a picture that is drawn as a whole; of a larger one, bands are
BAR_SHARE = 0.25  # of the width, that a scale bar has at most
PAPER, INK = "#000000", "#ffffff"


@dataclass(frozen=True)
class Look:
    """How a picture looks.

    Parameters
    ----------
    percentiles : tuple of float
        Of the pixels, shown darkest and brightest.
    colormap : str
        One of `COLORMAPS`.
    scalebar : bool
        Draw one in a strip below the image, which hides no pixel.
    """

    percentiles: tuple[float, float] = DISPLAY_PERCENTILES
    colormap: str = "gray"
    scalebar: bool = False

    def __post_init__(self) -> None:
        low, high = self.percentiles
        if not 0 <= low <= high <= 100:
            raise FormatError(
                "invalid_look",
                f"got the percentiles {low:g},{high:g}, expected two numbers from 0 to 100",
            )
        if self.colormap not in COLORMAPS:
            raise FormatError(
                "invalid_look",
                f"got the colormap {self.colormap!r}, expected one of {', '.join(COLORMAPS)}",
            )


def parse_percentiles(text: str) -> tuple[float, float]:
    """Two percentiles of text such as `0.1,99.9`."""
    try:
        low, high = sorted(float(part) for part in text.split(","))
    except ValueError:
        message = f"got the percentiles {text!r}, expected two numbers such as 0.1,99.9"
        raise FormatError("invalid_look", message) from None
    return low, high


def write_picture(
    path: Path, image: Rows, info: ImageInfo, look: Look | None = None, *, source: bool = False
) -> None:
    """Write an image as a PNG; with `source`, in the type of its source where that is a picture's.

    Of a large one, no more than a band is held at a time.
    """
    if source:
        dtype = np.dtype(info.dtype)
        image = image.converted(dtype, lambda band: to_dtype(band, dtype))
    if image.size <= WHOLE:
        whole = picture(image.read(slice(0, image.shape[0])), info, look, raw=source)
        whole.save(path, format="PNG")
    elif look is None and source and image.dtype.type in (np.uint8, np.uint16):
        depth = 8 * image.dtype.itemsize
        as_sent = (band.astype(f">u{depth // 8}") for band in image.bands())
        write_png(path, image.shape, as_sent, rgb=False, depth=depth)
    else:
        _write_bands(path, image, info, look or Look())


def _write_bands(path: Path, image: Rows, info: ImageInfo, look: Look) -> None:
    """The same picture as `picture` draws, a band at a time."""
    low, high = percentiles(image, look.percentiles)
    height, width = image.shape
    palette = COLORMAPS[look.colormap]
    strip = np.asarray(_strip(width, info)) if look.scalebar else None
    rgb = palette is not None or strip is not None
    colours = np.frombuffer(palette, np.uint8).reshape(256, 3) if palette else None
    across = width if strip is None else strip.shape[1]

    def drawn() -> Iterator[NDArray[np.uint8]]:
        for band in image.bands():
            shown = grays(band, low, high)
            if rgb:
                shown = (
                    np.stack([shown] * 3, axis=2)
                    if colours is None
                    else np.take(colours, shown, axis=0)
                )
                if across > width:
                    shown = np.pad(shown, ((0, 0), (0, across - width), (0, 0)))
            yield shown
        if strip is not None:
            yield strip

    write_png(path, (height + (0 if strip is None else len(strip)), across), drawn(), rgb=rgb)


def picture(
    pixels: NDArray[Any], info: ImageInfo, look: Look | None = None, *, raw: bool = False
) -> Image.Image:
    """One image, shape (m, n), as a picture; with `raw`, 8 and 16 bits as they are."""
    check_one_frame(pixels)
    if look is None and raw and pixels.dtype.type in (np.uint8, np.uint16):
        return Image.fromarray(pixels)
    look = look or Look()
    shown = Image.fromarray(display(pixels, look.percentiles))
    palette = COLORMAPS[look.colormap]
    if palette is not None:
        shown.putpalette(palette)
        shown = shown.convert("RGB")
    return _with_bar(shown, info) if look.scalebar else shown


def check_one_frame(pixels: NDArray[Any]) -> None:
    """Refuse a stack where one image is drawn.

    Raises
    ------
    FormatError
    """
    if pixels.ndim != 2:
        raise FormatError(
            "one_frame_needed",
            f"got a stack of {len(pixels)} frames, a picture shows one: choose a frame",
        )


def display(
    pixels: NDArray[Any], percentiles: tuple[float, float] = DISPLAY_PERCENTILES
) -> NDArray[np.uint8]:
    """8-bit grays for looking at, shape (m, n)."""
    low, high = np.percentile(pixels, percentiles)
    return grays(pixels, low, high)


def grays(pixels: NDArray[Any], low: float, high: float) -> NDArray[np.uint8]:
    """8-bit grays, the intensity `low` black and `high` white, shape (m, n)."""
    span = high - low or 1.0
    shown: NDArray[np.uint8] = np.clip((pixels - low) * (255 / span), 0, 255).astype(np.uint8)
    return shown


def _with_bar(shown: Image.Image, info: ImageInfo) -> Image.Image:
    strip = _strip(shown.width, info)
    sheet = Image.new("RGB", (strip.width, shown.height + strip.height), PAPER)
    sheet.paste(shown, (0, 0))
    sheet.paste(strip, (0, shown.height))
    return sheet


def _strip(columns: int, info: ImageInfo) -> Image.Image:
    """The strip with a scale bar below an image of so many columns; at least as wide."""
    width = info.pixel_size[1] if info.pixel_size is not None else 1.0
    length = round_length(BAR_SHARE * columns * width)
    label = _label(length, info.unit or "px")
    font = ImageFont.load_default(size=max(10, columns // 28))
    left, top, right, bottom = font.getbbox(label)
    margin = max(4, columns // 64)
    thickness = max(2, columns // 128)
    bar = max(1, round(length / width))
    height = math.ceil(bottom - top) + 2 * margin
    strip = Image.new(
        "RGB", (max(columns, math.ceil(bar + right - left) + 4 * margin), height), PAPER
    )
    draw = ImageDraw.Draw(strip)
    middle = height // 2
    draw.rectangle(
        (margin, middle - thickness // 2, margin + bar - 1, middle + (thickness - 1) // 2), fill=INK
    )
    draw.text((2 * margin + bar, middle), label, fill=INK, font=font, anchor="lm")
    return strip


def round_length(most: float) -> float:
    """The largest of 1, 2 and 5 times a power of ten that is not above `most`."""
    power = 10.0 ** math.floor(math.log10(most))
    return next(step * power for step in (5, 2, 1) if step * power <= most * (1 + 1e-9))


def _label(length: float, unit: str) -> str:
    """In the unit of length that gives a number between 1 and 1000."""
    if unit not in NANOMETRES:
        return _ascii(f"{length:g} {unit}")
    nanometres = length * NANOMETRES[unit]
    for name in ("nm", "pm", "µm", "mm"):
        number = float(f"{nanometres / NANOMETRES[name]:.6g}")
        if 1 <= number < 1000:
            return _ascii(f"{number:g} {name}")
    return _ascii(f"{length:g} {unit}")


def _ascii(label: str) -> str:
    """As ImageJ spells it: Pillow's font has neither micro sign nor ångström."""
    return label.replace("µ", "u").replace("Å", "A")
