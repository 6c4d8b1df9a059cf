"""DM3 and DM4 of Gatan's DigitalMicrograph, by RosettaSciIO.

It evaluates nothing that a file says, and opens no other file.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from rsciio.digitalmicrograph import file_reader as read_dm

from worker.formats.axes import Described, Stated, signal_of
from worker.formats.signals import Found, Refused, Signals

LAYOUT = ("ImageData", "ImageSource")  # tags that describe the file rather than the image
SPECTRAL_FORMATS = ("Spectrum", "Spectrum image")


@contextmanager
def opened(path: Path) -> Iterator[Signals]:
    """The images of a DM3 or DM4 file, without its thumbnails."""
    yield [_signal(each, f"image {number}") for number, each in enumerate(read_dm(str(path)))]


def _signal(signal: Mapping[str, Any], untitled: str) -> Found | Refused:
    tags = signal["original_metadata"]
    image = tags["ImageList"]["TagGroup0"]
    kept = {name: value for name, value in image.items() if name not in LAYOUT}
    stated = Stated(
        title=str(signal["metadata"]["General"].get("title") or untitled),
        signal_type=str(signal["metadata"].get("Signal", {}).get("signal_type", "")),
        record_by="spectrum" if _is_spectral(image) else "image",
        # Other tags say where the windows were.
        metadata=kept | {"DocumentTags": tags.get("DocumentTags", {})},
    )
    return signal_of(signal["data"], _axes(signal["axes"]), stated)


def _is_spectral(image: Mapping[str, Any]) -> bool:
    tags = image.get("ImageTags")
    about = tags.get("Meta Data") if isinstance(tags, Mapping) else None
    return isinstance(about, Mapping) and about.get("Format") in SPECTRAL_FORMATS


def _axes(axes: list[Described]) -> list[Described]:
    """Without `navigate`: RosettaSciIO's guess where the file has nothing of the kind."""
    return [{name: axis[name] for name in ("scale", "offset", "units")} for axis in axes]
