"""Files of images: what can be read and written, and how a written image looks.

Reading (`worker.formats.reading`) is not imported here: it loads the readers, and nothing but the
child process of `worker.decoding.parent` has a use for them.
"""

from worker.formats.catalogue import FORMATS, MEDIA_TYPES, SUFFIXES, WRITABLE, format_of, suffix_of
from worker.formats.conversion import clipped_pixels, to_dtype
from worker.formats.errors import FormatError, LimitError
from worker.formats.picture import (
    COLORMAPS,
    Look,
    display,
    parse_percentiles,
    picture,
    write_picture,
)
from worker.formats.pieces import Rows
from worker.formats.writing import write

__all__ = [
    "COLORMAPS",
    "FORMATS",
    "MEDIA_TYPES",
    "SUFFIXES",
    "WRITABLE",
    "FormatError",
    "LimitError",
    "Look",
    "Rows",
    "clipped_pixels",
    "display",
    "format_of",
    "parse_percentiles",
    "picture",
    "suffix_of",
    "to_dtype",
    "write",
    "write_picture",
]
