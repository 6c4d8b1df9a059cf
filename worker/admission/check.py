"""From a file's first bytes to the walk of its format."""

from collections.abc import Callable
from pathlib import Path

from worker.admission.dm import check_dm
from worker.admission.hdf5 import check_hdf5
from worker.admission.limits import Declared
from worker.admission.mrc import check_mrc
from worker.admission.npy import check_npy
from worker.admission.png import check_png
from worker.admission.source import Source
from worker.admission.tia import check_emi, check_ser
from worker.admission.tiff import check_tiff
from worker.formats import FormatError

Check = Callable[[Source, Declared], None]

CHECKS: dict[str, Check] = {
    "tiff": check_tiff,
    "png": check_png,
    "npy": check_npy,
    "mrc": check_mrc,
    "dm": check_dm,
    "ser": check_ser,
    "emi": check_emi,
    "hdf5": check_hdf5,
}


def check(path: Path, format_: str, *, max_pixels: int) -> int:
    """Bytes that the pixels of a file take at most.

    Raises
    ------
    FormatError
        When the file declares more than the limits or its own size allow, or names other files.
    """
    with Source(path) as source:
        declared = Declared(source.size, max_pixels)
        try:
            CHECKS[format_](source, declared)
        except (FormatError, MemoryError):
            raise
        except Exception as error:  # whatever a library throws at a broken file
            raise FormatError(
                "damaged_file", f"the {format_.upper()} file is truncated or damaged: {error}"
            ) from error
    return declared.bytes
