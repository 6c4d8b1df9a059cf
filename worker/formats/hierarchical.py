"""HDF5-based files: which of the formats one is, and what all their readers share.

Data sets are opened lazily: their shape is checked before their pixels are read.
"""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import h5py
from rsciio.emd._api import is_EMD_NCEM, is_EMD_Velox

MOST_ENTRIES = 4096  # of the metadata of one signal; more of them are not kept either
LARGEST = 2**16  # bytes of one entry


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
    """The attributes of a group or data set that can be read, as far as there is room."""
    return Reader().attributes(item)


class Reader:
    """Reads metadata while there is room: so many entries, none of them large."""

    def __init__(self, most: int = MOST_ENTRIES) -> None:
        self._left = most

    def attributes(self, item: Any) -> dict[str, Any]:
        """Of a group or data set; those of a type that h5py does not know are left out."""
        found = {}
        for name in self._some(item.attrs):
            try:
                size = item.attrs.get_id(name).get_storage_size()
                found[str(name)] = item.attrs[name] if size <= LARGEST else _too_large(size)
            except (OSError, TypeError, ValueError):
                continue
        return found

    def array(self, data: h5py.Dataset) -> Any:
        """The values of a data set that is part of the metadata."""
        if data.shape is None or data.size * data.dtype.itemsize > LARGEST:
            return f"{data.dtype} array of shape {data.shape}"
        is_text = h5py.check_string_dtype(data.dtype) is not None
        return data.asstr(errors="replace")[()] if is_text else data[()]

    def items(self, group: h5py.Group) -> Iterator[tuple[str, Any]]:
        """What lies in a group."""
        for name in self._some(group):
            yield str(name), group[name]

    def tree(self, group: h5py.Group) -> dict[str, Any]:
        """Attributes of a group and of all groups in it; data sets are left out."""
        found = self.attributes(group)
        groups = (each for each in self.items(group) if isinstance(each[1], h5py.Group))
        return found | {name: self.tree(below) for name, below in groups}

    def _some(self, names: Iterable[Any]) -> Iterator[Any]:
        for name in names:
            if self._left <= 0:
                return
            self._left -= 1
            yield name


def _too_large(size: int) -> str:
    return f"{size} bytes, which are more than are kept"
