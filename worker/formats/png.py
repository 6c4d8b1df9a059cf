"""PNG, by Pillow."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from worker.formats.signals import Found, Pixels, Refused, Signals, not_grayscale

Image.MAX_IMAGE_PIXELS = None  # the limit is a setting, and is held before this is called
MODES: dict[str, np.dtype[Any]] = {
    "L": np.dtype(np.uint8),
    "I;16": np.dtype(np.uint16),
    "I": np.dtype(np.uint16),
}


@contextmanager
def opened(path: Path) -> Iterator[Signals]:
    """The one image of a PNG file."""
    with Image.open(path, formats=["PNG"]) as image:
        if image.mode not in MODES:
            bits = " (1 bit per pixel)" if image.mode == "1" else ""
            yield [Refused("image", not_grayscale(f"PNG mode {image.mode}{bits}"))]
            return
        dtype = MODES[image.mode]

        def load() -> Pixels:
            return np.array(image).astype(dtype)  # some versions of Pillow hold 16 bits as int32

        text = {str(key): value for key, value in image.info.items() if isinstance(value, str)}
        yield [Found("image", (image.height, image.width), dtype, load, metadata=text)]
