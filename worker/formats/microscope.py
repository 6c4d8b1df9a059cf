"""Files of microscopes that are no HDF5: DigitalMicrograph and TIA, by RosettaSciIO.

Its readers are called by name. Those used here evaluate nothing that a file says and open no other
file; what is done beside them guards against what they take on trust.
"""

import struct
import xml.etree.ElementTree as ET
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from rsciio.digitalmicrograph import file_reader as read_dm
from rsciio.tia._api import emixml2dtb, get_xml_info_from_emi, ser_reader
from rsciio.utils._dictionary import DTBox

from worker.formats.axes import signal_of
from worker.formats.errors import FormatError
from worker.formats.signals import Signals

SER_MAGIC = b"II\x97\x01"
DM_LAYOUT = ("ImageData", "ImageSource")  # tags that describe the file rather than the image


@contextmanager
def opened_dm(path: Path) -> Iterator[Signals]:
    """The images of a DM3 or DM4 file, without its thumbnails."""
    yield [
        signal_of(each, f"image {number}", _dm_metadata(each["original_metadata"]))
        for number, each in enumerate(read_dm(str(path)))
    ]


def _dm_metadata(tags: Mapping[str, Any]) -> dict[str, Any]:
    """The tags of the image itself; others say where the windows were."""
    image = tags["ImageList"]["TagGroup0"]
    kept = {name: value for name, value in image.items() if name not in DM_LAYOUT}
    return kept | {"DocumentTags": tags.get("DocumentTags", {})}


@contextmanager
def opened_ser(path: Path) -> Iterator[Signals]:
    """The images of a SER file alone."""
    yield [_ser(path, "image", None, {})]


@contextmanager
def opened_emi(path: Path, series: Sequence[Path]) -> Iterator[Signals]:
    """The images of the SER files that belong to an EMI file, with its metadata."""
    if not series:
        raise FormatError(
            "incomplete",
            "got an EMI file alone, which holds metadata only: send its SER file (NAME_1.ser for "
            "NAME.emi) in the same request, as a second `file`",
        )
    objects = get_xml_info_from_emi(str(path))
    yield [
        _ser(each, f"image {number}", objects, _emi_metadata(objects, number - 1))
        for number, each in enumerate(series, start=1)
    ]


def _ser(path: Path, title: str, objects: Sequence[str] | None, stated: dict[str, Any]) -> Any:
    _check_ser(path)
    (signal,) = ser_reader(str(path), list(objects) if objects else None)
    return signal_of(signal, title, stated | signal["original_metadata"])


def _emi_metadata(objects: Sequence[str], index: int) -> dict[str, Any]:
    tree = DTBox(box_dots=True)
    if index < len(objects):
        emixml2dtb(ET.fromstring(objects[index]), tree)  # noqa: S314  (in a child with limits)
    return dict(tree.to_dict())


def _check_ser(path: Path) -> None:
    """The reader makes room for as many images as the header declares."""
    with path.open("rb") as file:
        head = file.read(30)
        if not head.startswith(SER_MAGIC):
            raise FormatError(
                "unsupported_format", "got a file beside the EMI file that is no SER file"
            )
        version, valid = struct.unpack_from("<H", head, 4)[0], struct.unpack_from("<I", head, 18)[0]
        offset_format = "<I" if version <= 528 else "<Q"
        file.seek(struct.unpack_from(offset_format, head, 22)[0])
        first = struct.unpack(offset_format, file.read(struct.calcsize(offset_format)))[0]
        file.seek(first + 42)
        columns, rows = struct.unpack("<II", file.read(8))
    if valid * rows * columns > path.stat().st_size:
        raise FormatError(
            "damaged_file",
            f"the SER file is truncated or damaged: it declares {valid} images of {rows} x "
            f"{columns} px and has {path.stat().st_size} bytes",
        )
