"""Images and stacks out, with the calibration and the metadata of their source."""

import hashlib
import json
import math
from collections.abc import Callable, Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any
from uuid import NAMESPACE_OID, uuid5

import numpy as np
import tifffile

from worker.contract import ImageInfo
from worker.formats.conversion import Pixels, to_dtype
from worker.formats.gatan import gatan_tags
from worker.formats.picture import Look, check_one_frame, write_picture
from worker.formats.pieces import Rows
from worker.formats.units import NANOMETRES, in_nanometres

HYPERSPY = "2.0"  # the version whose layout is written
OME_TIMES = ("s", "ms", "µs", "min")
IMAGEJ_TYPES = (np.uint8, np.uint16, np.float32)
IMAGEJ_UNITS = {"µm": "um", "Å": "A"}  # in ASCII
MRC_TYPES = (np.int8, np.int16, np.uint16, np.float16, np.float32)
PER_CENTIMETRE = 1e7  # nm
LARGEST_RESOLUTION = 2**32  # that a TIFF tag can hold


def write(
    path: Path,
    pixels: Pixels,
    info: ImageInfo,
    format_: str,
    *,
    source: bool = False,
    look: Look | None = None,
) -> None:
    """Write an image or a stack with the calibration of its source.

    Parameters
    ----------
    path : Path
    pixels : ndarray, shape (m, n) or (frames, m, n)
    info : ImageInfo
        Of the signal it was made from.
    format_ : {"tiff", "npy", "mrc", "hspy", "png"}
        TIFF is float32, or uint16 for counts: ImageJ's for an image, OME-TIFF for a stack. MRC is
        float32, or a 16-bit integer for counts. NPY and HSPY are exact. PNG is an 8-bit picture of
        one image.
    source : bool
        Instead, the type of the source: rounded half to even, clipped to its range.
    look : Look, optional
        How a picture looks: percentiles, colours, scale bar.
    """
    if format_ == "png":
        check_one_frame(pixels)
        write_picture(path, Rows.of(pixels), info, look, source=source)
        return
    if source:
        pixels = to_dtype(pixels, np.dtype(info.dtype))
    _WRITERS[format_](path, pixels, info, source)


def _write_tiff(path: Path, pixels: Pixels, info: ImageInfo, source: bool) -> None:
    if not source:
        pixels = _as_counts(pixels, np.uint16)
    tags: dict[str, Any] = {"extratags": gatan_tags(info, stack=pixels.ndim == 3)}
    if pixels.ndim == 3:
        _write_ome(path, pixels, info, tags)
    elif pixels.dtype.type in IMAGEJ_TYPES:
        stated = tags | _per_unit(info)
        tifffile.imwrite(path, pixels, imagej=True, metadata=_imagej(info), **stated)
    else:  # exact, though ImageJ reads other types through Bio-Formats only
        tifffile.imwrite(path, pixels, metadata=_imagej(info), **tags, **_per_unit(info))


def _as_counts(pixels: Pixels, counts: type[np.integer[Any]]) -> Pixels:
    """As 16-bit integers where they are integers that fit, else as float32."""
    fits = pixels.dtype.kind in "iu" and pixels.max(initial=0) <= np.iinfo(counts).max
    return pixels.astype(counts if fits else np.float32)


def _imagej(info: ImageInfo) -> dict[str, Any]:
    """ImageJ's properties; `Info` is what its Image > Show Info... shows."""
    unit = IMAGEJ_UNITS.get(info.unit or "", info.unit or "").encode("ascii", "replace").decode()
    stated: dict[str, Any] = {"axes": "YX"} | ({"unit": unit} if unit else {})
    if info.origin is not None and info.pixel_size is not None:  # ImageJ has zero's place in pixels
        y, x = (-place / side for place, side in zip(info.origin, info.pixel_size, strict=True))
        stated |= {"xorigin": x, "yorigin": y}
    return stated | ({"Info": _as_text(info.metadata)} if info.metadata else {})


def _as_text(metadata: Mapping[str, Any]) -> str:
    return json.dumps(metadata, ensure_ascii=True, indent=1)


def _per_unit(info: ImageInfo) -> dict[str, Any]:
    if info.pixel_size is None:
        return {}
    height, width = info.pixel_size
    return {"resolution": (1 / width, 1 / height), "resolutionunit": "NONE"}


def _write_ome(path: Path, pixels: Pixels, info: ImageInfo, tags: dict[str, Any]) -> None:
    resolution: dict[str, Any] = {}
    stated: dict[str, Any] = {"axes": "TYX", "Name": info.title or "result"}
    # By default of time and network card: the same stack would never give the same file.
    stated["UUID"] = str(uuid5(NAMESPACE_OID, hashlib.sha256(pixels.tobytes()).hexdigest()))
    if info.metadata:
        stated["Description"] = _as_text(info.metadata)
    if info.pixel_size is not None and info.unit in NANOMETRES:  # OME knows lengths only
        height, width = info.pixel_size
        stated |= {"PhysicalSizeX": width, "PhysicalSizeY": height}
        stated |= {"PhysicalSizeXUnit": info.unit, "PhysicalSizeYUnit": info.unit}
        sides = in_nanometres(info.pixel_size, info.unit)
        per_cm = None if sides is None else (PER_CENTIMETRE / sides[1], PER_CENTIMETRE / sides[0])
        if per_cm is not None and max(per_cm) < LARGEST_RESOLUTION:  # for readers of tags only
            resolution = {"resolution": per_cm, "resolutionunit": "CENTIMETER"}
    step = info.frame_step if info.frame_step and info.frame_step > 0 else None
    if step and info.frame_unit in OME_TIMES:
        stated |= {"TimeIncrement": step, "TimeIncrementUnit": info.frame_unit}
    elif step and info.frame_unit in NANOMETRES:
        stated |= {"axes": "ZYX", "PhysicalSizeZ": step, "PhysicalSizeZUnit": info.frame_unit}
    stated |= _planes(len(pixels), info, step)
    tifffile.imwrite(
        path, pixels, ome=True, photometric="minisblack", metadata=stated, **resolution, **tags
    )


def _planes(count: int, info: ImageInfo, step: float | None) -> dict[str, Any]:
    """Where each plane is: OME has no offset of an axis but this."""
    places: dict[str, list[Any]] = {}
    if info.origin is not None and info.unit in NANOMETRES:
        for axis, place in zip("YX", info.origin, strict=True):
            places |= {
                f"Position{axis}": [place] * count,
                f"Position{axis}Unit": [info.unit] * count,
            }
    if info.frame_origin is not None and step:
        along = [info.frame_origin + step * n for n in range(count)]
        name = "DeltaT" if info.frame_unit in OME_TIMES else "PositionZ"
        if name == "DeltaT" or info.frame_unit in NANOMETRES:
            places |= {name: along, f"{name}Unit": [info.frame_unit] * count}
    return {"Plane": places} if places else {}


def _write_npy(path: Path, pixels: Pixels, _info: ImageInfo, _source: bool) -> None:
    with path.open("wb") as file:
        np.save(file, pixels, allow_pickle=False)


def _write_mrc(path: Path, pixels: Pixels, info: ImageInfo, _source: bool) -> None:
    import mrcfile  # as below: most processes never write these

    if pixels.dtype.type not in MRC_TYPES:
        pixels = _as_counts(pixels, np.uint16 if pixels.min(initial=0) >= 0 else np.int16)
    with mrcfile.new(path, overwrite=True) as file:
        file.set_data(np.ascontiguousarray(pixels))
        if pixels.ndim == 3:
            file.set_image_stack()
        sides = in_nanometres(info.pixel_size, info.unit) if info.pixel_size else None
        if sides is not None:
            file.voxel_size = (sides[1] * 10, sides[0] * 10, 0)  # Å
            y, x = in_nanometres(info.origin or (0.0, 0.0), info.unit) or (0.0, 0.0)
            file.header.origin = (x * 10, y * 10, 0)
        else:
            file.voxel_size = (0, 0, 0)
        label = f"REUCID {version('reucid')}: {info.title}"
        file.header.nlabl = 0  # mrcfile's own has the time in it: equal results are equal files
        file.header.label = b""
        file.add_label(label.encode("ascii", "replace").decode()[:79])


def _write_hspy(path: Path, pixels: Pixels, info: ImageInfo, _source: bool) -> None:
    from rsciio.hspy import file_writer  # loads dask

    signal = {
        "data": np.ascontiguousarray(pixels),
        "axes": _hyperspy_axes(pixels, info),
        "metadata": _hyperspy_metadata(info),
        "original_metadata": _hdf5_names(info.metadata),
        # The package whose class a signal is of, which HyperSpy looks for when it opens the file.
        "package_info": {"package": "hyperspy", "package_version": HYPERSPY},
        "learning_results": {},
        "models": {},
        "attributes": {"_lazy": False, "ragged": False},
        "tmp_parameters": {},
    }
    file_writer(str(path), signal, show_progressbar=False)


def _hyperspy_axes(pixels: Pixels, info: ImageInfo) -> list[dict[str, Any]]:
    height, width = info.pixel_size or (1.0, 1.0)
    top, left = info.origin or (0.0, 0.0)
    sides = [("y", height, top, info.unit, False), ("x", width, left, info.unit, False)]
    if pixels.ndim == 3:
        step, first = info.frame_step or 1.0, info.frame_origin or 0.0
        sides.insert(0, ("frame", step, first, info.frame_unit, True))
    return [
        {
            "_type": "UniformDataAxis",
            "name": name,
            "size": size,
            "index_in_array": index,
            "scale": scale,
            "offset": offset,
            "units": unit,
            "navigate": navigate,
            "is_binned": False,
        }
        for index, (size, (name, scale, offset, unit, navigate)) in enumerate(
            zip(pixels.shape, sides, strict=True)
        )
    ]


def _hyperspy_metadata(info: ImageInfo) -> dict[str, Any]:
    """In the places of HyperSpy's metadata specification."""
    microscope = {"beam_energy": info.beam_energy, "dwell_time": info.dwell_time}
    if info.detector:
        microscope["Detector"] = {"name": info.detector}  # type: ignore[assignment]
    return {
        "General": {"title": info.title},
        "Signal": {"signal_type": ""},
        "Acquisition_instrument": {"TEM": {k: v for k, v in microscope.items() if v is not None}},
    }


def _hdf5_names(metadata: Mapping[str, Any]) -> dict[str, Any]:
    """The same under names that HDF5 allows."""
    return {
        str(key).replace("/", "-").strip(".") or "_": (
            _hdf5_names(value) if isinstance(value, Mapping) else _hdf5_value(value)
        )
        for key, value in metadata.items()
    }


def _hdf5_value(value: Any) -> Any:
    """Integers beyond 64 bits and mixed lists have no HDF5 type of their own: as text."""
    if isinstance(value, int) and not -(2**63) <= value < 2**63:
        return str(value)
    if isinstance(value, list) and (
        len({type(each) for each in value}) > 1 or any(isinstance(e, Mapping | list) for e in value)
    ):
        return json.dumps(value)
    return str(value) if isinstance(value, float) and not math.isfinite(value) else value


_WRITERS: dict[str, Callable[[Path, Pixels, ImageInfo, bool], None]] = {
    "tiff": _write_tiff,
    "npy": _write_npy,
    "mrc": _write_mrc,
    "hspy": _write_hspy,
}
