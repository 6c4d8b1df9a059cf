"""From a file's first bytes to the walk of its format."""

from collections.abc import Callable, Sequence
from pathlib import Path

from worker.decoding.admission.declared import Declared
from worker.decoding.admission.dm import check_dm
from worker.decoding.admission.hdf5 import check_hdf5
from worker.decoding.admission.mrc import check_mrc
from worker.decoding.admission.npy import check_npy
from worker.decoding.admission.png import check_png
from worker.decoding.admission.source import Source
from worker.decoding.admission.tia import check_emi, check_ser
from worker.decoding.admission.tiff import check_tiff
from worker.formats.errors import FormatError
from worker.formats.reading import HDF5_MAGIC, recognise

Check = Callable[[Source, Declared], None]

HDF5 = "hdf5"
CHECKS: dict[str, Check] = {
    "tiff": check_tiff,
    "png": check_png,
    "npy": check_npy,
    "mrc": check_mrc,
    "dm3": check_dm,
    "dm4": check_dm,
    "ser": check_ser,
    "emi": check_emi,
    HDF5: check_hdf5,
}


def check(files: Sequence[Path], *, max_pixels: int) -> Declared:
    """What a file, and those that came with it, declare.

    Raises
    ------
    FormatError
        When they declare more than the limits or their own size allow, or name other files.
    """
    declared = Declared(max_pixels)
    for path in files:
        with Source(path) as source:
            declared.file_size += source.size
            _check(source, declared)
    return declared


def _check(source: Source, declared: Declared) -> None:
    format_ = _format(source)
    try:
        CHECKS[format_](source, declared)
    except (FormatError, MemoryError):
        raise
    except Exception as error:  # whatever a library throws at a broken file
        raise FormatError(
            "damaged_file", f"the {format_.upper()} file is truncated or damaged: {error}"
        ) from error


def _format(source: Source) -> str:
    """As readers see it; but of what is in HDF5 nothing is read before it is checked."""
    if source.read(0, min(source.size, len(HDF5_MAGIC))) == HDF5_MAGIC:
        return HDF5
    return recognise(source.path)
