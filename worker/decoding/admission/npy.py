"""NPY: a header of bounded length, and as many bytes after it as it declares."""

from math import prod

import numpy as np

from worker.decoding.admission.declared import Declared
from worker.decoding.admission.source import Source
from worker.formats.errors import FormatError

LONGEST_HEADER = 10_000  # bytes; numpy's own limit for files that nobody vouches for


def check_npy(source: Source, declared: Declared) -> None:
    """Read the header.

    Raises
    ------
    FormatError, ValueError
    """
    major = source.unpack("B", 6)[0]
    (length,) = source.unpack("<H" if major == 1 else "<I", 8)
    if length > LONGEST_HEADER:
        raise ValueError(f"got a header of {length} bytes, expected {LONGEST_HEADER} at most")
    with source.path.open("rb") as file:
        version = np.lib.format.read_magic(file)
        read = np.lib.format.read_array_header_2_0
        if version == (1, 0):
            read = np.lib.format.read_array_header_1_0
        shape, _, dtype = read(file)
        body = source.size - file.tell()
    if dtype.hasobject:
        raise FormatError("invalid_image", "got an array of Python objects, expected numbers")
    decoded = prod(shape) * dtype.itemsize
    image = (shape[-2], shape[-1]) if len(shape) >= 2 else None
    declared.add(prod(shape), decoded, stored=False, shape=image, count=prod(shape[:-2]))
    if decoded > body:
        raise ValueError(f"got {body} bytes of pixels, expected the {decoded} of its header")
