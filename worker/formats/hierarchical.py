"""HDF5-based files: Velox EMD, NCEM EMD and HyperSpy, by RosettaSciIO.

They are opened lazily: a data set's shape is checked before its pixels are read.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import dask
import h5py
from dask.local import get_sync
from rsciio.emd import file_reader as read_emd
from rsciio.emd._api import is_EMD_NCEM, is_EMD_Velox
from rsciio.emd._emd_velox import FeiEMDReader
from rsciio.hspy import file_reader as read_hspy

from worker.formats.axes import signal_of
from worker.formats.errors import FormatError
from worker.formats.signals import Refused, Signals, not_an_image

# A child decodes one file, in one thread. By its name dask would look for `distributed` first,
# whose import looks at the machine, and the sandbox denies that.
dask.config.set(scheduler=get_sync)


def kind_of(path: Path) -> str:
    """Which of the formats on top of HDF5 a file is.

    Raises
    ------
    FormatError
        When it is none of them.
    """
    with h5py.File(path, "r") as file:
        if "Experiments" in file and "file_format" in file.attrs:
            return "hspy"
        if is_EMD_Velox(file):
            return "velox"
        if is_EMD_NCEM(file):
            return "ncem"
    raise FormatError(
        "unsupported_format",
        "got an HDF5 file of an unknown kind, expected Velox EMD, NCEM EMD or HyperSpy's",
    )


@contextmanager
def opened_velox(path: Path) -> Iterator[Signals]:
    """The images of a Velox EMD file; spectra are listed as what they are."""
    with h5py.File(path, "r") as file:
        reader = FeiEMDReader(lazy=_is_chunked(file))
        spectra: Signals = []
        try:
            reader.read_file(file)
        except ModuleNotFoundError:  # for the spectrum image, which comes after the images
            spectra = [Refused("EDS", not_an_image("a spectrum image"))]
        yield [
            signal_of(each, f"image {number}", each["original_metadata"])
            for number, each in enumerate(reader.dictionaries)
        ] + spectra


def _is_chunked(file: h5py.File) -> bool:
    """Whether all images are in chunks, as Velox writes them; others cannot be opened lazily."""
    images = file.get("Data/Image", {})
    return all("Data" not in each or each["Data"].chunks for each in images.values())


@contextmanager
def opened_ncem(path: Path) -> Iterator[Signals]:
    """The images of an NCEM EMD file."""
    yield [
        signal_of(each, f"image {number}", each["original_metadata"])
        for number, each in enumerate(read_emd(str(path), lazy=True))
    ]


@contextmanager
def opened_hspy(path: Path) -> Iterator[Signals]:
    """The images of a HyperSpy file."""
    yield [
        signal_of(each, f"image {number}", _hspy_metadata(each))
        for number, each in enumerate(read_hspy(str(path), lazy=True))
        if "data" in each
    ]


def _hspy_metadata(signal: Mapping[str, Any]) -> dict[str, Any]:
    """Both trees; HyperSpy's own book-keeping is left out."""
    stated = {k: v for k, v in signal["metadata"].items() if not k.startswith("_")}
    return {"metadata": stated, "original_metadata": signal.get("original_metadata", {})}
