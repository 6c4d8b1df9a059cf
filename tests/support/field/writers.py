"""Files in which each axis, each part and each header says what a case needs it to say."""

import json
import struct
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import tifffile
from numpy.typing import NDArray

SHAPE = (12, 18)
STACK = (5, *SHAPE)
Pixels = NDArray[Any]
AxisOf = tuple[str, float, str | None, float]  # name, scale, unit, offset


def counts(shape: tuple[int, ...] = SHAPE, seed: int = 5) -> NDArray[np.uint16]:
    return np.random.default_rng(seed).poisson(40, shape).astype(np.uint16)


def hspy(
    path: Path,
    pixels: Pixels,
    axes: Sequence[Mapping[str, Any]],
    *,
    signal: Mapping[str, Any] | None = None,
    title: str = "image",
) -> None:
    """HyperSpy's layout, as version 1.7 wrote it."""
    with h5py.File(path, "w") as file:
        file.attrs["file_format"], file.attrs["file_format_version"] = "HyperSpy", "3.1"
        group = file.create_group(f"Experiments/{title}")
        group["data"] = pixels
        group.attrs["package"], group.attrs["package_version"] = "hyperspy", "1.7.5"
        for index, (axis, size) in enumerate(zip(axes, pixels.shape, strict=True)):
            stated = {"_type": "UniformDataAxis", "size": size, "is_binned": False, **axis}
            group.create_group(f"axis-{index}").attrs.update(stated)
        group.create_group("metadata/General").attrs["title"] = title
        group.create_group("metadata/Signal").attrs.update(signal or {"signal_type": ""})
        for name in ("original_metadata", "learning_results"):
            group.create_group(name)


def hspy_axis(name: str, scale: float, unit: str, offset: float = 0.0, **more: Any) -> Any:
    stated = {"name": name, "scale": scale, "units": unit, "offset": offset}
    return stated | {"navigate": False} | more


def openncem(
    path: Path, pixels: Pixels, axes: Sequence[AxisOf], *, first: int = 1, names: bool = True
) -> None:
    """EMD as openNCEM's `put_emdgroup` writes it: `dimN` for the N-th axis of the array."""
    with h5py.File(path, "w") as file:
        file.attrs["version_major"], file.attrs["version_minor"] = 0, 2
        for name in ("microscope", "sample", "user", "comments"):
            file.create_group(name)
        group = file.create_group("data/converted")
        group.attrs["emd_group_type"] = 1
        group["data"] = pixels
        for index, (name, scale, unit, offset) in enumerate(axes):
            vector = offset + scale * np.arange(pixels.shape[index])
            dimension = group.create_dataset(f"dim{first + index}", data=vector)
            dimension.attrs["name"] = name if names else f"dim{first + index}"
            dimension.attrs["units"] = unit or ""


def ome_xml(images: Sequence[Mapping[str, Any]]) -> str:
    """OME-XML of images of one plane each, a page after the other."""
    text = '<?xml version="1.0" encoding="UTF-8"?>'
    text += '<OME xmlns="http://www.openmicroscopy.org/Schemas/OME/2016-06">'
    for page, image in enumerate(images):
        rows, columns = image.get("shape", SHAPE)
        stated = " ".join(f'{name}="{value}"' for name, value in image["sizes"].items())
        plane = "".join(f' {name}="{value}"' for name, value in image.get("plane", {}).items())
        text += (
            f'<Image ID="Image:{page}" Name="{image.get("name", "")}"><Pixels ID="Pixels:{page}" '
            f'DimensionOrder="XYCZT" Type="uint16" SizeX="{columns}" SizeY="{rows}" SizeC="1" '
            f'SizeZ="1" SizeT="1" {stated}><Channel ID="Channel:{page}:0" SamplesPerPixel="1"/>'
            f'<TiffData IFD="{page}" PlaneCount="1"/>'
            + (f'<Plane TheC="0" TheZ="0" TheT="0"{plane}/>' if plane else "")
            + "</Pixels></Image>"
        )
    return text + "</OME>"


def ome(path: Path, pages: Sequence[Pixels], text: str) -> None:
    with tifffile.TiffWriter(path) as file:
        for number, page in enumerate(pages):
            about = text.encode() if number == 0 else None
            file.write(page, description=about, metadata=None, photometric="minisblack")


def nm(height: float, width: float) -> dict[str, Any]:
    return {
        "PhysicalSizeX": width,
        "PhysicalSizeXUnit": "nm",
        "PhysicalSizeY": height,
        "PhysicalSizeYUnit": "nm",
    }


def gatan(axes: Sequence[tuple[float, str, float]]) -> list[Any]:
    """DigitalMicrograph's tags of a TIFF: scale, unit and offset of x, y and the frames."""
    tags: list[Any] = []
    for place, (scale, unit, offset) in enumerate(axes):
        text = unit.encode("latin-1")
        tags += [(65003 + place, 2, len(text) + 1, text + b"\0", True)]
        tags += [(65006 + place, 12, 1, offset, True), (65009 + place, 12, 1, scale, True)]
    return tags


def ini(sections: Mapping[str, Mapping[str, Any]]) -> bytes:
    """As FEI's programs write it into a tag."""
    lines: list[str] = []
    for name, section in sections.items():
        lines += [f"[{name}]", *(f"{key}={value}" for key, value in section.items()), ""]
    return "\r\n".join(lines).encode()


def text_tag(code: int, text: bytes) -> tuple[int, int, int, bytes, bool]:
    return (code, 2, len(text) + 1, text + b"\0", True)


def mrc(
    path: Path,
    pixels: Pixels,
    *,
    mode: int = 6,
    cell: tuple[float, float] = (0.0, 0.0),
    range_: tuple[float, float] = (0.0, 0.0),
    version: int = 0,
    extension: bytes = b"",
    kind: bytes = b"",
    origin: tuple[float, float] = (0.0, 0.0),
    flags: int | None = None,
) -> None:
    """An MRC file whose header says just this; `cell` is the pixel in Å, y before x."""
    frames, rows, columns = pixels.shape if pixels.ndim == 3 else (1, *pixels.shape)
    header = bytearray(1024)
    struct.pack_into("<10i", header, 0, columns, rows, frames, mode, 0, 0, 0, columns, rows, frames)
    struct.pack_into("<3f", header, 40, cell[1] * columns, cell[0] * rows, frames * cell[0])
    struct.pack_into("<3f3i", header, 52, 90, 90, 90, 1, 2, 3)
    struct.pack_into("<3fi", header, 76, *range_, 0, 0)
    struct.pack_into("<i", header, 92, len(extension))
    header[104 : 104 + len(kind)] = kind
    struct.pack_into("<i", header, 108, version)
    if flags is not None:
        struct.pack_into("<2i", header, 152, 1146047817, flags)
    struct.pack_into("<3f4s4B", header, 196, origin[1], origin[0], 0, b"MAP ", 68, 68, 0, 0)
    path.write_bytes(bytes(header) + extension + pixels.tobytes())


def ser(
    path: Path,
    frames: Sequence[Pixels],
    *,
    pixel: float = 2e-11,
    offset: tuple[float, float] = (0.0, 0.0),
    dimension: tuple[float, float, bytes] = (0.0, 1.0, b""),
    spectra: bool = False,
) -> None:
    """A series of TIA, of images of any sizes or of spectra; offsets are y before x, in m."""
    count = len(frames)
    start, step, unit = dimension
    head = struct.pack(
        "<2sHHIIII", b"II", 0x197, 0x210, 0x4120 if spectra else 0x4122, 0x4152, count, count
    )
    described = struct.pack("<IddII", count, start, step, 0, 6) + b"Number"
    described += struct.pack("<I", len(unit)) + unit
    table = len(head) + 8 + len(described)
    elements = []
    for frame in frames:
        if spectra:
            body = struct.pack("<ddIHI", 0.0, 0.1, 0, 2, frame.size)
        else:
            body = struct.pack("<ddI", offset[1], pixel, 0) + struct.pack(
                "<ddI", offset[0], pixel, 0
            )
            body += struct.pack("<HII", 2, frame.shape[1], frame.shape[0])
        elements.append(
            body + frame[::-1].astype("<u2").tobytes() + struct.pack("<HHI", 0x4152, 0, 0)
        )
    places = np.cumsum([table + 8 * count, *map(len, elements)])[:count].astype("<u4").tobytes()
    tail = bytes(4 * count) + b"".join(elements)
    path.write_bytes(head + struct.pack("<II", table, 1) + described + places + tail)


def emi(path: Path, objects: Sequence[bytes]) -> None:
    """XML between bytes, before each the name that its SER file had on the microscope."""
    content = b"JK\0\2" + bytes(64)
    for body in objects:
        content += body + bytes(16)
    path.write_bytes(content)


def emi_object(number: int, dwell: float, user: bytes = b"USER") -> bytes:
    name = rb"F:\Work\acquire_" + str(number).encode() + b".ser2\0"
    return name + (
        b"<ObjectInfo><ExperimentalDescription><Root><Data><Label>User</Label><Value>"
        + user
        + b"</Value><Unit></Unit></Data><Data><Label>High tension</Label><Value>200</Value>"
        b"<Unit>kV</Unit></Data></Root></ExperimentalDescription><AcquireInfo><DwellTimePath>"
        + str(dwell).encode()
        + b"</DwellTimePath></AcquireInfo></ObjectInfo>"
    )


def velox(path: Path, pixels: Pixels, stated: Mapping[str, Any], encoding: str = "utf-8") -> None:
    """One image of Velox, whose `BinaryResult` says this; every frame has the metadata."""
    metadata = {
        "BinaryResult": {"Detector": "HAADF", "DetectorIndex": "0", **stated},
        "Detectors": {"Detector-0": {"DetectorName": "HAADF"}},
        "Scan": {"DwellTime": "2e-5", "FrameTime": "2.5"},
        "Acquisition": {"AcquisitionStartDatetime": {"DateTime": "1488794201"}},
        "Optics": {"AccelerationVoltage": "300000"},
        "Operator": "Élodie",
        "CustomProperties": "",
    }
    text = np.frombuffer(json.dumps(metadata, ensure_ascii=False).encode(encoding), np.uint8)
    frames = pixels if pixels.ndim == 3 else pixels[np.newaxis]
    with h5py.File(path, "w") as file:
        version = json.dumps({"format": "Velox", "version": "1.11.0.0"})
        file.create_dataset("Version", data=[version], dtype=h5py.string_dtype("utf-8"))
        group = file.create_group(f"Data/Image/{0:032x}")
        group["Data"] = np.moveaxis(frames, 0, -1)
        group["Metadata"] = np.repeat(text[:, None], len(frames), axis=1)
