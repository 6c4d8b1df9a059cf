"""HDF5-based files: which of the formats one is, and what all their readers share.

Data sets are opened lazily: their shape is checked before their pixels are read.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import dask
import h5py
from rsciio.emd._api import is_EMD_NCEM, is_EMD_Velox

dask.config.set(scheduler="synchronous")  # a child decodes one file, in one thread


def kind_of(path: Path) -> str:
    """Which of the formats on top of HDF5 a file is; "hdf5" when it is none of them."""
    with h5py.File(path, "r") as file:
        if "Experiments" in file and "file_format" in file.attrs:
            return "hspy"
        if is_EMD_Velox(file):
            return "velox"
        if is_EMD_NCEM(file):
            return "ncem"
    return "hdf5"


def attributes(item: Any) -> dict[str, Any]:
    """The attributes of a group or data set that can be read."""
    found = {}
    for name in item.attrs:
        try:
            found[str(name)] = item.attrs[name]
        except (OSError, TypeError, ValueError):  # of a type that h5py does not know
            continue
    return found


def tree(group: Mapping[str, Any]) -> dict[str, Any]:
    """Attributes of a group and of all groups in it; data sets are left out."""
    below = {str(name): tree(each) for name, each in group.items() if isinstance(each, h5py.Group)}
    return attributes(group) | below
