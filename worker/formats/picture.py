"""A picture of an image: grays or colours between two percentiles, and a scale bar."""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from worker.contract import ImageInfo
from worker.formats.colormaps import COLORMAPS
from worker.formats.errors import FormatError
from worker.formats.units import NANOMETRES

__all__ = ["COLORMAPS", "Look", "display", "grays", "parse_percentiles", "picture"]

DISPLAY_PERCENTILES = (0.1, 99.9)
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


def picture(
    pixels: NDArray[Any], info: ImageInfo, look: Look | None = None, *, raw: bool = False
) -> Image.Image:
    """One image, shape (m, n), as a picture; with `raw`, 8 and 16 bits as they are."""
    if pixels.ndim != 2:
        raise FormatError(
            "one_frame_needed",
            f"got a stack of {len(pixels)} frames, a picture shows one: choose a frame",
        )
    if look is None and raw and pixels.dtype.type in (np.uint8, np.uint16):
        return Image.fromarray(pixels)
    look = look or Look()
    shown = Image.fromarray(display(pixels, look.percentiles))
    palette = COLORMAPS[look.colormap]
    if palette is not None:
        shown.putpalette(palette)
        shown = shown.convert("RGB")
    return _with_bar(shown, info) if look.scalebar else shown


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
    width = info.pixel_size[1] if info.pixel_size is not None else 1.0
    length = round_length(BAR_SHARE * shown.width * width)
    label = _label(length, info.unit or "px")
    font = ImageFont.load_default(size=max(10, shown.width // 28))
    left, top, right, bottom = font.getbbox(label)
    margin = max(4, shown.width // 64)
    thickness = max(2, shown.width // 128)
    bar = max(1, round(length / width))
    strip = math.ceil(bottom - top) + 2 * margin
    sheet = Image.new(
        "RGB",
        (max(shown.width, math.ceil(bar + right - left) + 4 * margin), shown.height + strip),
        PAPER,
    )
    sheet.paste(shown, (0, 0))
    draw = ImageDraw.Draw(sheet)
    middle = shown.height + strip // 2
    draw.rectangle(
        (margin, middle - thickness // 2, margin + bar - 1, middle + (thickness - 1) // 2), fill=INK
    )
    draw.text((2 * margin + bar, middle), label, fill=INK, font=font, anchor="lm")
    return sheet


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
