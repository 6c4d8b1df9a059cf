"""NCEM's (Berkeley) EMD: a group for each array, with a vector `dimN` for each of its axes.

Read here rather than by RosettaSciIO, which turns every array round: right for files that HyperSpy
and Prismatic wrote, whose arrays run x, y, frames, wrong for openNCEM's, which run frames, y, x.
The format says so itself: `dimN` belongs to the N-th axis of the array, and has its name.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from worker.formats.arrays import opened_file
from worker.formats.axes import Described, Roles, Stated, signal_of
from worker.formats.calibration import tidy
from worker.formats.hierarchical import Reader, attributes
from worker.formats.signals import Found, Refused, Signals
from worker.formats.text import decoded

ARRAYS = ("data", "counted_datacube", "datacube", "diffractionslice", "realslice")
ABOUT = ("microscope", "sample", "user", "comments")  # groups of metadata
UNEVEN = 0.01  # of a step, that steps may differ


@contextmanager
def opened(path: Path) -> Iterator[Signals]:
    """The images of an NCEM EMD file."""
    with h5py.File(path, "r") as file:
        metadata = _metadata(file)
        found = [_signal(each, metadata) for each in _arrays(file)]
        yield found or opened_file(file)


def _arrays(file: h5py.File) -> list[h5py.Dataset]:
    """Those that lie in a group which says that it is one of EMD's."""
    found: list[h5py.Dataset] = []

    def look(_: str, item: Any) -> None:
        name = item.name.rpartition("/")[2]
        is_array = isinstance(item, h5py.Dataset) and item.shape is not None
        if is_array and name.startswith(ARRAYS) and item.parent.attrs.get("emd_group_type", False):
            found.append(item)

    file.visititems(look)
    return found


def _signal(data: h5py.Dataset, metadata: Mapping[str, Any]) -> Found | Refused:
    group = data.parent
    stated = Stated(
        title=group.name.rpartition("/")[2],
        signal_type=_text(group.attrs.get("signal_type", "")),
        metadata=metadata,
    )
    axes = _axes(group, data)
    return signal_of(data, axes, stated, _roles(group, axes))


def _axes(group: h5py.Group, data: h5py.Dataset) -> list[Described]:
    """Newer files count the vectors from 0."""
    first = 0 if "dim0" in group else 1
    return [
        _axis(group.get(f"dim{first + index}"), count) for index, count in enumerate(data.shape)
    ]


def _axis(vector: Any, count: int) -> Described:
    """A vector of as many positions as there are samples, or of the first two."""
    if not isinstance(vector, h5py.Dataset) or vector.shape is None:
        return {}
    stated = attributes(vector)
    named = {"name": _text(stated.get("name", "")), "units": _text(stated.get("units", ""))}
    if vector.ndim != 1 or vector.dtype.kind not in "iuf" or not 1 < vector.size <= max(count, 2):
        return named
    places = vector[:].astype(np.result_type(vector.dtype, np.float32))
    steps = np.diff(places)
    step = tidy(float(steps.mean()))
    even = np.allclose(steps, step, rtol=UNEVEN, atol=0)
    scaled = {"scale": step, "offset": float(places[0])}
    return named | (scaled if even else {"_type": "DataAxis"})


def _roles(group: h5py.Group, axes: Sequence[Described]) -> Roles | None:
    """Axes that are called x and y are those; else HyperSpy's own files run backwards."""
    if len(axes) not in (2, 3):
        return None
    names = [axis.get("name", "").lower().removeprefix("r_") for axis in axes]
    order = list(range(len(axes)))
    if names.count("x") == names.count("y") == 1 and "dim0" not in group:
        rows, columns = names.index("y"), names.index("x")
    elif group.parent.name == "/signals":  # where HyperSpy, and nobody else, puts them
        rows, columns = 1, 0
    else:
        rows, columns = order[-2:]
    others = [index for index in order if index not in (rows, columns)]
    return Roles(rows, columns, others[0] if others else None)


def _metadata(file: h5py.File) -> dict[str, Any]:
    groups = {name: file.get(name) for name in ABOUT}
    reader = Reader()
    stated = {
        name: reader.tree(each) for name, each in groups.items() if isinstance(each, h5py.Group)
    }
    version = [file.attrs.get(f"version_{part}") for part in ("major", "minor")]
    return {"EMD_version": None if None in version else ".".join(map(str, version))} | stated


def _text(value: Any) -> str:
    if np.ndim(value):
        return ""  # several values are no text
    return decoded(bytes(value)) if isinstance(value, bytes | np.bytes_) else str(value)
