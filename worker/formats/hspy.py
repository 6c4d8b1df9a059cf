"""HyperSpy's HDF5: each experiment an array, a group for every axis, and two trees of metadata."""

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from worker.formats.axes import Described, Stated, signal_of
from worker.formats.hierarchical import Reader, attributes
from worker.formats.signals import Found, Refused, Signals, not_an_image

NO_AXES = "the axes could not be read: taken as uncalibrated, in the order of the array"


@contextmanager
def opened(path: Path) -> Iterator[Signals]:
    """The images of a HyperSpy file."""
    with h5py.File(path, "r") as file:
        groups = [each for each in file["Experiments"].values() if isinstance(each, h5py.Group)]
        yield [
            _signal(group, f"image {number}")
            for number, group in enumerate(group for group in groups if "data" in group)
        ]


def _signal(group: h5py.Group, untitled: str) -> Found | Refused:
    data, notes = group["data"], []
    if not isinstance(data, h5py.Dataset) or data.shape is None:
        return Refused(untitled, not_an_image("a group without an array"))
    axes = _axes(group, data.ndim)
    if axes is None:
        axes = [{}] * data.ndim
        notes.append(NO_AXES)
    stated, original = (_named(group, *names) for names in (_STATED, _ORIGINAL))
    signal = _section(stated, "Signal")
    told = Stated(
        title=str(_section(stated, "General").get("title") or untitled),
        signal_type=str(signal.get("signal_type") or ""),
        record_by=str(signal.get("record_by") or stated.get("record_by") or ""),
        # HyperSpy's own book-keeping is left out.
        metadata={
            "metadata": {name: each for name, each in stated.items() if not name.startswith("_")},
            "original_metadata": original,
        },
        notes=tuple(notes),
    )
    return signal_of(data, axes, told)


_STATED = ("metadata", "mapped_parameters")  # the second in files before version 1.2
_ORIGINAL = ("original_metadata", "original_parameters")


def _axes(group: h5py.Group, count: int) -> list[Described] | None:
    """One for each dimension of the array; None when they are not as many."""
    places: list[Any] = [group.get(f"axis-{index}") for index in range(count)]
    if None in places and f"_list_{count}_axes" in group:
        listed = group[f"_list_{count}_axes"]
        places = [listed[name] for name in sorted(listed)]
    if len(places) != count or not all(isinstance(each, h5py.Group) for each in places):
        return None
    return [_described(attributes(each)) for each in places]


def _described(axis: Mapping[str, Any]) -> Described:
    """With Python's own truth values; HyperSpy writes what is undefined as "_None_".

    No property of an axis has several values; those that do state nothing.
    """
    known = {
        name: None if _is_none(value) else value
        for name, value in axis.items()
        if np.ndim(value) == 0
    }
    if known.get("navigate") is not None:
        known["navigate"] = bool(known["navigate"])
    return known


def _is_none(value: Any) -> bool:
    return isinstance(value, str) and value in ("_None_", "<undefined>")


def _named(group: h5py.Group, *names: str) -> dict[str, Any]:
    """The tree of metadata of the first of these names; empty where there is none."""
    place = next((group[name] for name in names if name in group), None)
    return _tree(Reader(), place) if isinstance(place, h5py.Group) else {}


def _tree(reader: Reader, group: h5py.Group) -> dict[str, Any]:
    """Attributes, arrays and groups; prefixes of names tell the types that HDF5 has not."""
    found: dict[str, Any] = {}
    for name, value in reader.attributes(group).items():
        if (empty := _EMPTY.match(name)) is not None:
            found[name[empty.end() :]] = []
        else:
            found[_unprefixed(name)] = None if _is_none(value) else value
    for name, each in reader.items(group):
        if isinstance(each, h5py.Dataset):
            found[_unprefixed(name)] = reader.array(each)
        elif isinstance(each, h5py.Group) and not name.startswith("_sig_"):
            below = _tree(reader, each)
            listed = _LISTED.match(name)
            if listed is None:
                found[name] = below
            else:
                found[name[listed.end() :]] = [below[key] for key in sorted(below)]
    return found


_EMPTY = re.compile("_(list|tuple)_empty_")
_LISTED = re.compile("_(list|tuple)_[0-9]+_")
_PREFIXED = re.compile("_(list|tuple|bs|datetime)_")


def _unprefixed(name: str) -> str:
    return _PREFIXED.sub("", name, count=1) if name.startswith("_") else name


def _section(tree: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    section = tree.get(name)
    return section if isinstance(section, Mapping) else {}
