"""HyperSpy's HDF5: each experiment an array, a group for every axis, and two trees of metadata."""

import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import h5py
from rsciio.hspy._api import HyperspyReader

from worker.formats.axes import Described, Stated, signal_of
from worker.formats.hierarchical import attributes
from worker.formats.signals import Found, Refused, Signals, not_an_image

UNREADABLE = "the metadata could not be read"
NO_AXES = "the axes could not be read: taken as uncalibrated, in the order of the array"


@contextmanager
def opened(path: Path) -> Iterator[Signals]:
    """The images of a HyperSpy file."""
    with h5py.File(path, "r") as file:
        groups = [each for each in file["Experiments"].values() if isinstance(each, h5py.Group)]
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of files newer than the reader
            reader = HyperspyReader(file)
        yield [
            _signal(reader, group, f"image {number}")
            for number, group in enumerate(group for group in groups if "data" in group)
        ]


def _signal(reader: HyperspyReader, group: h5py.Group, untitled: str) -> Found | Refused:
    data, notes = group["data"], []
    if not isinstance(data, h5py.Dataset) or data.shape is None:
        return Refused(untitled, not_an_image("a group without an array"))
    axes = _axes(group, data.ndim)
    if axes is None:
        axes = [{}] * data.ndim
        notes.append(NO_AXES)
    trees = [_tree(reader, group, *names) for names in (_STATED, _ORIGINAL)]
    if None in trees:
        notes.append(UNREADABLE)
    stated, original = (tree or {} for tree in trees)
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
    """With Python's own truth values; HyperSpy writes what is undefined as "_None_"."""
    known = {name: None if _is_none(value) else value for name, value in axis.items()}
    if known.get("navigate") is not None:
        known["navigate"] = bool(known["navigate"])
    return known


def _is_none(value: Any) -> bool:
    return isinstance(value, str) and value in ("_None_", "<undefined>")


def _tree(reader: HyperspyReader, group: h5py.Group, *names: str) -> dict[str, Any] | None:
    """A tree of metadata; None when it cannot be read."""
    place = next((group[name] for name in names if name in group), None)
    if place is None:
        return {}
    try:
        found: dict[str, Any] = reader._group2dict(place, lazy=True)
    except (AttributeError, LookupError, OSError, SyntaxError, TypeError, ValueError):
        return None
    return found


def _section(tree: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    section = tree.get(name)
    return section if isinstance(section, Mapping) else {}
