"""From RosettaSciIO's signals, axes and all, to images."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from worker.formats.signals import Found, Pixels, Refused, not_an_image, not_grayscale
from worker.formats.units import canonical, pixel_size

SPECTRAL_UNITS = ("ev", "kev")
SPECTRAL_TYPES = ("EELS", "EDS", "CL")


def signal_of(
    signal: Mapping[str, Any], untitled: str, metadata: Mapping[str, Any]
) -> Found | Refused:
    """A signal as RosettaSciIO's readers give it; what is no image is refused with the reason."""
    data, axes = signal["data"], list(signal["axes"])
    title = str(signal["metadata"].get("General", {}).get("title") or untitled)
    refusal = _refusal(data, axes, str(signal["metadata"].get("Signal", {}).get("signal_type", "")))
    if refusal is not None:
        return Refused(title, refusal)
    turned = _name(axes[-2]) == "x" and _name(axes[-1]) == "y"  # columns first
    rows, columns = (axes[-1], axes[-2]) if turned else (axes[-2], axes[-1])
    size, unit = pixel_size(rows.get("scale"), columns.get("scale"), columns.get("units"))
    shape = tuple(int(side) for side in data.shape)
    step, step_unit = _step(axes[0]) if len(axes) == 3 else (None, None)

    def load() -> Pixels:
        pixels = np.asarray(data)  # dask's arrays are computed here
        return np.swapaxes(pixels, -1, -2) if turned else pixels

    return Found(
        title=title,
        shape=(*shape[:-2], shape[-1], shape[-2]) if turned else shape,
        dtype=np.dtype(data.dtype),
        load=load,
        pixel_size=size,
        unit=unit,
        frame_step=step,
        frame_unit=step_unit,
        metadata=metadata,
    )


def _refusal(data: Any, axes: Sequence[Mapping[str, Any]], signal_type: str) -> Any:
    units = [str(axis.get("units") or "").lower() for axis in axes]
    if data.ndim < 2:
        return not_an_image(f"a spectrum or profile of {data.size} values")
    if data.dtype.names is not None:
        return not_grayscale("colours")
    spectral = any(unit in SPECTRAL_UNITS for unit in units) or signal_type.startswith(
        SPECTRAL_TYPES
    )
    if spectral and (data.ndim > 2 or any(unit in SPECTRAL_UNITS for unit in units)):
        return not_an_image(f"a spectrum image of shape {data.shape}")
    if data.ndim > 3:
        return not_an_image(f"data of {data.ndim} dimensions, {data.shape}")
    return None


def _name(axis: Mapping[str, Any]) -> str:
    return str(axis.get("name") or "").lower()


def _step(axis: Mapping[str, Any]) -> tuple[float | None, str | None]:
    unit = canonical(axis.get("units"))
    return (None, None) if unit is None else (float(axis.get("scale") or 0.0), unit)
