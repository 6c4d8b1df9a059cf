"""Files of microscopes, written by the tests: the smallest that have what is read."""

import json
import struct
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import h5py
import mrcfile
import numpy as np
import tifffile
from numpy.typing import NDArray
from rsciio.emd import file_writer as write_emd

from worker import formats
from worker.contract import ImageInfo

PIXEL_SIZE = 0.02  # nm
DM_TYPES = {  # DigitalMicrograph's image type and element type
    "int16": (1, 2),
    "float32": (2, 6),
    "uint8": (6, 10),
    "int32": (7, 3),
    "int8": (9, 9),
    "uint16": (10, 4),
    "uint32": (11, 5),
    "float64": (12, 7),
}
SER_TYPES = {"uint8": 1, "uint16": 2, "uint32": 3, "int8": 4, "int16": 5, "int32": 6}
SER_TYPES |= {"float32": 7, "float64": 8}
DM_TAGS = {
    "Microscope Info": {"Voltage": 200e3, "Probe Current (nA)": 0.02},
    "DigiScan": {"Sample Time": 20.0},
}
EMI_DESCRIPTION = """\
<ObjectInfo><ExperimentalDescription><Root>
<Data><Label>High tension</Label><Value>80</Value><Unit>kV</Unit></Data>
<Data><Label>Mode</Label><Value>STEM nP</Value><Unit></Unit></Data>
</Root></ExperimentalDescription><AcquireDate>Tue Oct 18 18:18:46 2011</AcquireDate>
<AcquireInfo><DwellTimePath>0.000029</DwellTimePath></AcquireInfo></ObjectInfo>
"""


class DigitalMicrograph:
    """Writes DM3 and DM4 files: groups of tags, all numbers of their structure big-endian."""

    def __init__(self, version: int) -> None:
        self._version = version
        self._word = ">I" if version == 3 else ">Q"

    def file(self, images: list[dict[str, Any]]) -> bytes:
        root = self._group({"ImageList": images})
        head = struct.pack(">I", self._version) + struct.pack(self._word, len(root))
        return head + struct.pack(">I", 1) + root + bytes(8)

    def _group(self, tags: Mapping[str, Any] | list[Any]) -> bytes:
        named = tags.items() if isinstance(tags, Mapping) else [("", each) for each in tags]
        body = b"".join(self._tag(name, value) for name, value in named)
        return b"\1\0" + struct.pack(self._word, len(tags)) + body

    def _tag(self, name: str, value: Any) -> bytes:
        is_group = isinstance(value, Mapping | list)
        head = (
            bytes([20 if is_group else 21])
            + struct.pack(">H", len(name))
            + name.encode("latin-1", "replace")
        )
        size = b"" if self._version == 3 else bytes(8)
        return head + size + (self._group(value) if is_group else self._data(value))

    def _data(self, value: Any) -> bytes:
        match value:
            case str():
                text = value.encode("utf-16-le", "surrogatepass")
                return self._info(20, 4, len(value)) + text
            case np.ndarray():
                element = DM_TYPES[value.dtype.name][1]
                little = value.astype(value.dtype.newbyteorder("<")).tobytes()
                return self._info(20, element, value.size) + little
            case float():
                return self._info(7) + struct.pack("<d", value)
            case _:
                return self._info(5) + struct.pack("<I", value)

    def _info(self, *words: int) -> bytes:
        counted = (len(words), *words)
        return b"%%%%" + b"".join(struct.pack(self._word, word) for word in counted)


def dm_image(
    pixels: NDArray[Any], name: str = "HAADF", units: tuple[str, ...] = ("nm", "nm", "deg")
) -> dict[str, Any]:
    """An image of a DM file; sides are stored x, y, frames."""
    sides = pixels.shape[::-1]
    scales = (PIXEL_SIZE, PIXEL_SIZE, 2.0)
    axes = [
        {"Origin": 0.0, "Scale": scale, "Units": unit}
        for _, scale, unit in zip(sides, scales, units, strict=False)
    ]
    brightness = {"Origin": 0.0, "Scale": 1.0, "Units": ""}
    return {
        "ImageData": {
            "Calibrations": {"Brightness": brightness, "Dimension": axes},
            "Data": pixels.ravel(),
            "DataType": DM_TYPES[pixels.dtype.name][0],
            "Dimensions": list(sides),
            "PixelDepth": pixels.itemsize,
        },
        "ImageTags": DM_TAGS,
        "Name": name,
    }


def write_dm3(path: Path, pixels: NDArray[Any]) -> None:
    path.write_bytes(DigitalMicrograph(3).file([dm_image(pixels)]))


def write_dm4(path: Path, pixels: NDArray[Any]) -> None:
    path.write_bytes(DigitalMicrograph(4).file([dm_image(pixels)]))


def write_ser(path: Path, pixels: NDArray[Any]) -> None:
    """A TIA series; its rows run from the bottom up."""
    frames = formats_stack(pixels)
    type_ = SER_TYPES[pixels.dtype.name]
    calibration = struct.pack("<ddI", 0.0, PIXEL_SIZE * 1e-9, 0) * 2
    rows, columns = frames.shape[1:]
    elements = [
        calibration
        + struct.pack("<HII", type_, columns, rows)
        + frame[::-1].astype(frame.dtype.newbyteorder("<")).tobytes()
        + struct.pack("<HHI", 0x4152, 0, 0)
        for frame in frames
    ]
    count = len(frames)
    dimension = struct.pack("<IddII", count, 0.0, 1.0, 0, 6) + b"Number" + struct.pack("<I", 0)
    table = 30 + len(dimension)
    first = table + 8 * count
    offsets = np.cumsum([first, *map(len, elements)])[:count].astype("<u4").tobytes()
    head = struct.pack("<2sHHIIII", b"II", 0x197, 0x210, 0x4122, 0x4152, count, count)
    head += struct.pack("<II", table, 1)
    path.write_bytes(head + dimension + offsets + bytes(4 * count) + b"".join(elements))


def write_emi(path: Path) -> None:
    """A TIA description; the pixels are in the SER files beside it."""
    path.write_bytes(b"JK\0\2" + bytes(64) + EMI_DESCRIPTION.encode() + bytes(16))


def write_velox(path: Path, *images: tuple[str, NDArray[Any]]) -> None:
    """A Velox EMD file with an image, or a stack, of each named detector."""
    with h5py.File(path, "w") as file:
        text = h5py.string_dtype("utf-8")
        version = json.dumps({"format": "Velox", "version": "1.11.0.0"})
        file.create_dataset("Version", data=[version], dtype=text)
        for number, (detector, pixels) in enumerate(images):
            group = file.create_group(f"Data/Image/{number:032x}")
            group["Data"] = np.moveaxis(formats_stack(pixels), 0, -1)
            stated = json.dumps(_velox_metadata(detector, number)).encode()
            frames = len(formats_stack(pixels))
            group["Metadata"] = np.repeat(np.frombuffer(stated, np.uint8)[:, None], frames, axis=1)


def _velox_metadata(detector: str, number: int) -> dict[str, Any]:
    side = str(PIXEL_SIZE * 1e-9)
    return {
        "BinaryResult": {
            "PixelSize": {"height": side, "width": side},
            "Offset": {"x": "0", "y": "0"},
            "PixelUnitX": "m",
            "Detector": detector,
            "DetectorIndex": str(number),
        },
        "Detectors": {f"Detector-{number}": {"DetectorName": detector}},
        "Optics": {"AccelerationVoltage": "300000", "LastMeasuredScreenCurrent": "2e-11"},
        "Scan": {"DwellTime": "2e-5", "FrameTime": "2.5"},
        "Acquisition": {"AcquisitionStartDatetime": {"DateTime": "1488794201"}},
        "CustomProperties": "",
    }


def write_ncem(path: Path, pixels: NDArray[Any]) -> None:
    axes = [("y", PIXEL_SIZE, "nm", False), ("x", PIXEL_SIZE, "nm", False)]
    if pixels.ndim == 3:
        axes.insert(0, ("z", 2.0, "deg", True))
    signal = {
        "data": pixels,
        "axes": [
            {"name": n, "scale": s, "units": u, "offset": 0.0, "navigate": v} for n, s, u, v in axes
        ],
        "metadata": {"General": {"title": "HAADF"}, "Signal": {"signal_type": ""}},
        "original_metadata": {"microscope": {"high tension": 200e3, "dwell time": 1e-6}},
    }
    write_emd(str(path), signal)


def write_mrc(path: Path, pixels: NDArray[Any]) -> None:
    with mrcfile.new(path) as file:
        file.set_data(pixels)
        if pixels.ndim == 3:
            file.set_image_stack()
        file.voxel_size = PIXEL_SIZE * 10


def write_hspy(path: Path, pixels: NDArray[Any]) -> None:
    info = ImageInfo(
        "npy",
        pixels.shape,
        pixels.dtype.name,
        (PIXEL_SIZE, PIXEL_SIZE),
        "nm",
        title="HAADF",
        frame_step=2.0,
        frame_unit="deg",
        detector="HAADF",
        beam_energy=200.0,
        dwell_time=2e-5,
    )
    formats.write(path, pixels, info, "hspy")


def write_imagej(path: Path, pixels: NDArray[Any]) -> None:
    per_nm = (1 / PIXEL_SIZE, 1 / PIXEL_SIZE)
    axes = "YX" if pixels.ndim == 2 else "TYX"
    stated = {"unit": "nm", "axes": axes} | ({"finterval": 2.0} if pixels.ndim == 3 else {})
    tifffile.imwrite(path, pixels, imagej=True, resolution=per_nm, metadata=stated)


def write_ome(path: Path, pixels: NDArray[Any]) -> None:
    stated = {"PhysicalSizeX": PIXEL_SIZE, "PhysicalSizeXUnit": "nm"}
    stated |= {"PhysicalSizeY": PIXEL_SIZE, "PhysicalSizeYUnit": "nm"}
    stated |= {"TimeIncrement": 2.0, "axes": "YX" if pixels.ndim == 2 else "TYX"}
    tifffile.imwrite(path, pixels, ome=True, photometric="minisblack", metadata=stated)


def write_pages(path: Path, pixels: NDArray[Any]) -> None:
    with tifffile.TiffWriter(path) as file:
        for frame in formats_stack(pixels):
            file.write(frame, photometric="minisblack", metadata=None)


def write_npy(path: Path, pixels: NDArray[Any]) -> None:
    with path.open("wb") as file:
        np.save(file, pixels)


def formats_stack(pixels: NDArray[Any]) -> NDArray[Any]:
    """An image as a stack of one."""
    return pixels if pixels.ndim == 3 else pixels[np.newaxis]
