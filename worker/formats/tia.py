"""EMI of TIA: XML between binary parts, one for each SER file that belongs to it."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from rsciio.tia._api import emixml2dtb
from rsciio.utils._dictionary import DTBox

from worker.formats.errors import FormatError
from worker.formats.ser import images_of, read_series
from worker.formats.series import named_in, numbered
from worker.formats.signals import Signals
from worker.formats.text import decoded, with_stray_ampersands_escaped
from worker.formats.xml import parsed

MOST_ELEMENTS = 10_000  # of the metadata of a series
BEGIN, END = b"<ObjectInfo>", b"</ObjectInfo>"
UNREADABLE = "the EMI file's metadata could not be read"
MENDED = "the EMI file's metadata are not all UTF-8 and XML: read as Latin-1, as far as it goes"


@contextmanager
def opened_ser(path: Path) -> Iterator[Signals]:
    """The images of a SER file alone."""
    yield list(images_of(read_series(path), "image", {}, (), diffraction=False))


@contextmanager
def opened_emi(path: Path, series: Sequence[Path]) -> Iterator[Signals]:
    """The images of the SER files that belong to an EMI file, by number, with its metadata."""
    if not series:
        raise FormatError(
            "incomplete",
            "got an EMI file alone, which holds metadata only: send its SER file (NAME_1.ser for "
            "NAME.emi) in the same request, as a second `file`",
        )
    objects = _objects(path.read_bytes())
    yield [
        signal
        for number, each in numbered(series)
        for signal in _signals(each, number, objects.get(number))
    ]


def _signals(path: Path, number: int, content: bytes | None) -> Signals:
    metadata, notes = ({}, ()) if content is None else _metadata(content)
    series = read_series(path)
    diffraction = _is_diffraction(metadata, scan=series.is_scan)
    return list(images_of(series, f"image {number}", metadata, notes, diffraction=diffraction))


def _objects(content: bytes) -> dict[int, bytes]:
    """The XML for each SER file, by the number of the file that the bytes before it name."""
    found = list(_places(content))
    ends = [0, *(each.stop for each in found)]
    names = [named_in(content[end : each.start]) for end, each in zip(ends, found, strict=False)]
    numbers = [each[-1] for each in names if each]
    if len(set(numbers)) < len(found):  # then TIA's order
        numbers = list(range(1, len(found) + 1))
    return {number: content[each] for number, each in zip(numbers, found, strict=True)}


def _places(content: bytes) -> Iterator[slice]:
    """From each beginning to the next end; one pass, whatever is in the file."""
    end = 0
    while (start := content.find(BEGIN, end)) >= 0 and (last := content.find(END, start)) >= 0:
        end = last + len(END)
        yield slice(start, end)


def _metadata(content: bytes) -> tuple[dict[str, Any], tuple[str, ...]]:
    """As a tree; what cannot be read is left out, and that is said."""
    text = decoded(content)
    mended = with_stray_ampersands_escaped(text)
    plain = "".join(c for c in mended if c.isprintable() or c in "\t\n\r")
    notes = () if _is_clean(content) and plain == text else (MENDED,)
    tree = DTBox(box_dots=True)
    try:
        emixml2dtb(parsed(plain, MOST_ELEMENTS), tree)
    except (AttributeError, LookupError, SyntaxError, TypeError, ValueError):
        return {}, (UNREADABLE,)
    return dict(tree.to_dict()), notes


def _is_clean(content: bytes) -> bool:
    try:
        content.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True


def _is_diffraction(metadata: Mapping[str, Any], *, scan: bool) -> bool:
    """Whether images are diffraction patterns: all of a camera, or of a scan, in STEM are."""
    about = metadata.get("ObjectInfo")
    about = about if isinstance(about, Mapping) else {}
    description, acquired = about.get("ExperimentalDescription"), about.get("AcquireInfo")
    mode = description.get("Mode") if isinstance(description, Mapping) else None
    if not isinstance(mode, str) or not isinstance(acquired, Mapping):
        return False
    return scan or "CameraNamePath" in acquired if "STEM" in mode else "Diffraction" in mode
