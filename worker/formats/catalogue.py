"""The formats: what each is called, and what of a file is kept."""

from dataclasses import dataclass
from pathlib import Path

from worker.formats.errors import FormatError


@dataclass(frozen=True)
class Format:
    """A file format, as clients see it. A format is told by content; suffixes are for writing."""

    name: str
    title: str
    suffixes: tuple[str, ...]
    media_type: str | None  # None where it is not written
    reads: bool
    calibration: bool  # pixel size and unit
    frames: bool  # several frames in one signal
    metadata: bool  # what else the file says

    @property
    def writes(self) -> bool:
        return self.media_type is not None


FORMATS = (
    Format("tiff", "TIFF, OME-TIFF, ImageJ TIFF", (".tif", ".tiff"), "image/tiff", *[True] * 4),
    Format("png", "PNG", (".png",), "image/png", True, False, False, False),
    Format("npy", "NumPy array", (".npy",), "application/x-npy", True, False, True, False),
    Format("mrc", "MRC2014", (".mrc",), "application/x-mrc", True, True, True, True),
    Format("hspy", "HyperSpy HDF5", (".hspy",), "application/x-hdf5", *[True] * 4),
    Format("dm3", "Gatan DigitalMicrograph 3", (".dm3",), None, *[True] * 4),
    Format("dm4", "Gatan DigitalMicrograph 4", (".dm4",), None, *[True] * 4),
    Format("ser", "FEI TIA series", (".ser",), None, *[True] * 4),
    Format("emi", "FEI TIA image with its series", (".emi",), None, *[True] * 4),
    Format("velox", "Thermo Fisher Velox EMD", (".emd",), None, *[True] * 4),
    Format("ncem", "NCEM (Berkeley) EMD", (".emd",), None, *[True] * 4),
    Format("hdf5", "HDF5 with arrays", (".h5", ".hdf5"), None, True, False, True, True),
)

MEDIA_TYPES = {each.name: each.media_type for each in FORMATS if each.media_type is not None}
WRITABLE = tuple(MEDIA_TYPES)
SUFFIXES = {suffix: each.name for each in FORMATS if each.writes for suffix in each.suffixes}
READABLE = ", ".join(each.title for each in FORMATS if each.reads)


def format_of(path: Path) -> str:
    """The format that a file's name asks for.

    Raises
    ------
    FormatError
    """
    try:
        return SUFFIXES[path.suffix.lower()]
    except KeyError:
        raise FormatError(
            "unsupported_format",
            f"got the file name {path.name!r}, expected one that ends in {', '.join(SUFFIXES)}",
        ) from None


def suffix_of(format_: str, *, stack: bool) -> str:
    """How the name of a written file ends; a TIFF of a stack is an OME-TIFF."""
    suffix = next(each.suffixes[0] for each in FORMATS if each.name == format_)
    return ".ome.tif" if stack and format_ == "tiff" else suffix
