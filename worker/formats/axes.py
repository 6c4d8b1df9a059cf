"""From arrays whose axes are described, as HyperSpy and RosettaSciIO do it, to images."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from worker.formats.calibration import Axis, calibrated
from worker.formats.errors import FormatError
from worker.formats.signals import Found, Pixels, Refused, not_an_image, not_grayscale

SPECTRAL_UNITS = ("ev", "kev")
SPECTRAL_NAMES = ("energy", "energy loss", "wavelength", "wavenumber", "raman shift")
SPECTRAL_TYPES = ("EELS", "EDS", "EDX", "CL", "Lumi", "PL", "Raman", "XPS", "Transient")

UNIFORM = "UniformDataAxis"  # HyperSpy's name for an axis of equal steps

Described = Mapping[str, Any]  # an axis: name, scale, offset, units, navigate


@dataclass(frozen=True)
class Roles:
    """Which axis of an array is which."""

    rows: int
    columns: int
    frames: int | None = None

    @property
    def order(self) -> tuple[int, ...]:
        """Of the axes, so that frames come first and columns last."""
        return (*(() if self.frames is None else (self.frames,)), self.rows, self.columns)


@dataclass(frozen=True)
class Stated:
    """What a file says of a signal beside its axes."""

    title: str
    signal_type: str = ""  # HyperSpy's: "EELS", "CL", ...
    record_by: str = ""  # "spectrum" or "image", in files of HyperSpy before 1.0
    metadata: Mapping[str, Any] | None = None
    notes: tuple[str, ...] = ()


def signal_of(
    data: Any, axes: Sequence[Described], stated: Stated, roles: Roles | None = None
) -> Found | Refused:
    """An array as an image or a stack; what is neither is refused with the reason.

    Parameters
    ----------
    data : array of numpy or h5py
        Not read before the signal is loaded.
    axes : sequence of mapping
        One for each axis of the array.
    roles : Roles, optional
        Of the axes, where they are told otherwise than by `navigate`.
    """
    refusal = _refusal(data, axes, stated)
    if refusal is not None:
        return Refused(stated.title, refusal)
    roles = roles or _roles(axes)
    order = roles.order

    def load() -> Pixels:
        return np.transpose(np.asarray(data), order)  # h5py's are read here

    frames = None if roles.frames is None else _axis(axes[roles.frames])
    return Found(
        title=stated.title,
        shape=tuple(int(data.shape[index]) for index in order),
        dtype=np.dtype(data.dtype),
        load=load,
        calibration=calibrated(_axis(axes[roles.rows]), _axis(axes[roles.columns]), frames),
        metadata=stated.metadata or {},
        notes=stated.notes + tuple(map(_uneven, filter(_is_uneven, axes))),
    )


def _is_uneven(axis: Described) -> bool:
    return str(axis.get("_type", UNIFORM)) != UNIFORM


def _uneven(axis: Described) -> str:
    return f"the axis {axis.get('name') or ''!r} is not evenly spaced: its steps are left out"


def _axis(axis: Described) -> Axis:
    return Axis(axis.get("scale"), axis.get("units"), axis.get("offset"))


def _roles(axes: Sequence[Described]) -> Roles:
    """By `navigate`, which is false for both axes of an image; else in the order of the array."""
    image = [index for index, axis in enumerate(axes) if axis.get("navigate") is False]
    if len(image) != 2:
        image = [len(axes) - 2, len(axes) - 1]
    others = [index for index in range(len(axes)) if index not in image]
    return Roles(image[0], image[1], others[0] if others else None)


def _refusal(data: Any, axes: Sequence[Described], stated: Stated) -> FormatError | None:
    if data.ndim < 2:
        return not_an_image(f"a spectrum or profile of {data.size} values")
    if np.dtype(data.dtype).names is not None:
        return not_grayscale("colours")
    if _is_spectral(axes, stated):
        what = "a line of spectra" if data.ndim == 2 else "a spectrum image"
        return not_an_image(f"{what} of shape {tuple(data.shape)}")
    if data.ndim > 3:
        return not_an_image(f"data of {data.ndim} dimensions, {tuple(data.shape)}")
    return None


def _is_spectral(axes: Sequence[Described], stated: Stated) -> bool:
    """Whether one axis is that of a spectrum: as the file says, else by its unit or name."""
    signal_axes = [axis for axis in axes if axis.get("navigate") is False]
    told = all(isinstance(axis.get("navigate"), bool) for axis in axes) and signal_axes != []
    if told and len(signal_axes) == 1:
        return True
    if not told and stated.record_by == "spectrum":
        return True
    if any(str(axis.get("units") or "").lower() in SPECTRAL_UNITS for axis in axes):
        return True
    if any(str(axis.get("name") or "").lower() in SPECTRAL_NAMES for axis in axes):
        return True
    is_image = told or stated.record_by == "image"
    return stated.signal_type.startswith(SPECTRAL_TYPES) and (len(axes) > 2 or not is_image)
