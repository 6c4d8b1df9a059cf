"""DM3 and DM4 of Gatan's DigitalMicrograph, by RosettaSciIO.

It evaluates nothing that a file says, and opens no other file. Its classes are used one image at a
time: an image whose tags it cannot make sense of is then no hindrance to the others.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from rsciio.digitalmicrograph._api import DigitalMicrographReader, ImageObject

from worker.formats.axes import Described, Stated, signal_of
from worker.formats.errors import FormatError
from worker.formats.signals import Found, Refused, Signals

LAYOUT = ("ImageData", "ImageSource")  # tags that describe the file rather than the image
SPECTRAL_FORMATS = ("Spectrum", "Spectrum image")
PACKED_COMPLEX = (5, 27, 28)  # data types whose values are not counted as they are stored
NO_AXES = "the calibration could not be read: taken as uncalibrated"
WHATEVER = (
    ArithmeticError,
    AttributeError,
    LookupError,
    NotImplementedError,
    TypeError,
    ValueError,
)


@contextmanager
def opened(path: Path) -> Iterator[Signals]:
    """The images of a DM3 or DM4 file, without its thumbnails."""
    with path.open("rb") as file:
        reader = DigitalMicrographReader(file)
        reader.parse_file()
        document = reader.tags_dict.get("DocumentTags", {})
        yield [
            _signal(ImageObject(tags, file), tags, document, f"image {number}")
            for number, tags in enumerate(reader.get_image_dictionaries() or ())
        ]


def _signal(
    image: ImageObject, tags: Mapping[str, Any], document: Any, untitled: str
) -> Found | Refused:
    title = str(image.title or untitled)
    try:
        _check_pixels(image)
        data = np.asarray(image.get_data(lazy=False))
    except WHATEVER as error:
        message = f"the image is damaged, or of a kind that is not read: {error}"
        return Refused(title, FormatError("damaged_file", message))
    axes, notes = _axes(image, data.ndim)
    kept = {name: value for name, value in tags.items() if name not in LAYOUT}
    stated = Stated(
        title=title,
        signal_type=image.signal_type,
        record_by="spectrum" if _is_spectral(tags) else "image",
        # Other tags say where the windows were.
        metadata=kept | {"DocumentTags": document},
        notes=notes,
    )
    return signal_of(data, axes, stated)


def _check_pixels(image: ImageObject) -> None:
    """Hold what the image says of its pixels against what there are.

    Raises
    ------
    ValueError
    """
    if not all(isinstance(side, int) and side > 0 for side in image.shape):
        raise ValueError(f"got pixels of shape {image.shape}")
    stored, stated = image.imdict.ImageData.Data, np.dtype(image.dtype)
    packed = image.imdict.ImageData.DataType in PACKED_COMPLEX
    if not packed and stored["size_bytes"] != stored["size"] * stated.itemsize:
        raise ValueError(
            f"got {stored['size']} values in {stored['size_bytes']} bytes, expected {stated}"
        )


def _is_spectral(image: Mapping[str, Any]) -> bool:
    tags = image.get("ImageTags")
    about = tags.get("Meta Data") if isinstance(tags, Mapping) else None
    return isinstance(about, Mapping) and about.get("Format") in SPECTRAL_FORMATS


def _axes(image: ImageObject, count: int) -> tuple[list[Described], tuple[str, ...]]:
    """Steps, offsets and units; which axes are the image's is a guess that is not asked for."""
    try:
        described = zip(image.scales, image.offsets, image.units, strict=True)
        axes: list[Described] = [{"scale": s, "offset": o, "units": u} for s, o, u in described]
    except WHATEVER:
        axes = []
    return (axes, ()) if len(axes) == count else ([{}] * count, (NO_AXES,))
