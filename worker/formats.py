"""Image files: bytes in, pixels and calibration out, and back again.

The format of a file is told by its content, never by its name. Nothing here is called on a client's
file but in the child process of `worker.decoder`.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import tifffile
from numpy.typing import NDArray
from PIL import Image

from reucid_core.errors import ImageError
from reucid_core.image import check_image
from worker.contract import ImageInfo

Pixels = NDArray[Any]

MEDIA_TYPES = {"tiff": "image/tiff", "png": "image/png", "npy": "application/x-npy"}
SUFFIXES = {".tif": "tiff", ".tiff": "tiff", ".png": "png", ".npy": "npy"}

COARSEST_CALIBRATION = 1e-3  # cm per pixel; coarser is a printer's resolution, not a microscope's
DISPLAY_PERCENTILES = (0.1, 99.9)
IMAGEJ_TYPES = (np.uint8, np.uint16, np.float32)


class FormatError(Exception):
    """The file cannot be used: `code` for programs, the message for people."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


# --- reading ---------------------------------------------------------------------------------


def read(path: Path, *, max_pixels: int) -> tuple[Pixels, ImageInfo]:
    """Read one grayscale image.

    Parameters
    ----------
    path : Path
    max_pixels : int
        Refuse larger images, before their pixels are decoded.

    Returns
    -------
    pixels : ndarray, shape (m, n)
        In the file's own type, native byte order, finite.
    info : ImageInfo

    Raises
    ------
    FormatError
        When the file is not a readable TIFF, PNG or NPY of one finite, real image.
    """
    format_, reader = _recognise(path)
    try:
        pixels, info = reader(path, max_pixels)
        pixels = np.ascontiguousarray(pixels, dtype=pixels.dtype.newbyteorder("="))
        check_image(pixels)
    except (FormatError, MemoryError):
        raise
    except ImageError as error:
        raise FormatError(error.code, str(error)) from error
    except Exception as error:  # whatever a decoder throws at a broken file
        raise FormatError(
            "damaged_file", f"the {format_.upper()} file is truncated or damaged: {error}"
        ) from error
    broken = pixels.size - int(np.count_nonzero(np.isfinite(pixels)))
    if broken:
        raise FormatError(
            "invalid_image",
            f"got {broken} pixels that are NaN or infinite, expected none: replace them or crop "
            "the image first",
        )
    return pixels, info


def recognise(path: Path) -> str:
    """The format of a file, by its first bytes.

    Raises
    ------
    FormatError
    """
    return _recognise(path)[0]


def _recognise(path: Path) -> tuple[str, "Reader"]:
    with path.open("rb") as file:
        head = file.read(8)
    if not head:
        raise FormatError("empty_file", "got a file of 0 bytes, expected an image")
    for magic, (format_, reader) in _READERS.items():
        if head.startswith(magic):
            return format_, reader
    raise FormatError(
        "unsupported_format",
        f"got a file that begins with {head!r}, expected a TIFF, PNG or NPY file",
    )


def _read_tiff(path: Path, max_pixels: int) -> tuple[Pixels, ImageInfo]:
    with tifffile.TiffFile(path) as file:
        if len(file.pages) != 1:
            raise FormatError(
                "not_one_image", f"got a TIFF of {len(file.pages)} pages, expected one image"
            )
        page = file.pages.first
        photometric = tifffile.PHOTOMETRIC(page.photometric)
        gray = photometric == tifffile.PHOTOMETRIC.MINISBLACK or _is_gray_ramp(page.colormap)
        if page.samplesperpixel != 1 or not gray:
            raise _not_grayscale(
                f"a {photometric.name} TIFF with {page.samplesperpixel} samples per pixel"
            )
        _check_size(page.shape, max_pixels)
        pixel_size, unit = _tiff_calibration(file)
        pixels = page.asarray()
        return pixels, _info("tiff", pixels, pixel_size=pixel_size, unit=unit)


def _is_gray_ramp(colormap: Pixels | None) -> bool:
    """Whether a palette, shape (3, n), shows each index as a gray of its own, darkest first."""
    if colormap is None:
        return False
    red, green, blue = colormap.astype(np.int64)
    return bool((red == green).all() and (red == blue).all() and (np.diff(red) > 0).all())


def _tiff_calibration(file: tifffile.TiffFile) -> tuple[tuple[float, float] | None, str | None]:
    """Pixel size (height, width) and unit: ImageJ's, else a plausible one in centimetres."""
    page = file.pages.first
    unit = str((file.imagej_metadata or {}).get("unit", ""))
    unit = _UNITS.get(unit, unit)
    per_unit = [_ratio(page.tags.get(name)) for name in ("YResolution", "XResolution")]
    if not all(per_unit):
        return None, None
    height, width = (1 / value for value in per_unit)
    if unit and unit not in ("pixel", "inch", "cm"):
        return (height, width), unit
    centimetres = page.tags.get("ResolutionUnit") and page.tags["ResolutionUnit"].value == 3
    if (centimetres or unit == "cm") and max(height, width) <= COARSEST_CALIBRATION:
        return (height * 1e7, width * 1e7), "nm"
    return None, None


def _ratio(tag: Any) -> float:
    if tag is None or not tag.value[1]:
        return 0.0
    return float(tag.value[0]) / float(tag.value[1])


def _read_png(path: Path, max_pixels: int) -> tuple[Pixels, ImageInfo]:
    with Image.open(path, formats=["PNG"]) as image:
        if image.mode not in ("L", "I;16", "I"):
            raise _not_grayscale(f"PNG mode {image.mode}")
        _check_size((image.height, image.width), max_pixels)
        pixels = np.array(image)
        if pixels.dtype == np.int32:  # how older Pillow versions hold 16-bit grayscale
            pixels = pixels.astype(np.uint16)
        return pixels, _info("png", pixels)


def _read_npy(path: Path, max_pixels: int) -> tuple[Pixels, ImageInfo]:
    with path.open("rb") as file:
        shape, dtype = _npy_header(file)
        if dtype.hasobject:
            raise FormatError("invalid_image", "got an array of Python objects, expected numbers")
        _check_size(shape, max_pixels)
        file.seek(0)
        pixels = np.load(file, allow_pickle=False)
    return pixels, _info("npy", pixels)


def _npy_header(file: BinaryIO) -> tuple[tuple[int, ...], np.dtype[Any]]:
    version = np.lib.format.read_magic(file)
    read_header = (
        np.lib.format.read_array_header_1_0
        if version == (1, 0)
        else np.lib.format.read_array_header_2_0
    )
    shape, _, dtype = read_header(file)
    return shape, dtype


def _check_size(shape: tuple[int, ...], max_pixels: int) -> None:
    pixels = int(np.prod(shape, dtype=object))
    if pixels > max_pixels:
        raise FormatError(
            "too_many_pixels", f"got an image of {pixels} pixels, at most {max_pixels} are accepted"
        )


def _not_grayscale(what: str) -> FormatError:
    return FormatError(
        "not_grayscale", f"got {what}, expected one grayscale channel: convert the image first"
    )


def _info(format_: str, pixels: Pixels, **calibration: Any) -> ImageInfo:
    if pixels.ndim != 2:
        raise ImageError(
            f"got an array of shape {pixels.shape}, expected the rows and columns of one "
            "single-channel image"
        )
    return ImageInfo(
        format=format_,
        shape=(pixels.shape[0], pixels.shape[1]),
        dtype=pixels.dtype.name,
        **calibration,
    )


Reader = Callable[[Path, int], tuple[Pixels, ImageInfo]]

_READERS: dict[bytes, tuple[str, Reader]] = {
    b"II*\0": ("tiff", _read_tiff),
    b"MM\0*": ("tiff", _read_tiff),
    b"II+\0": ("tiff", _read_tiff),
    b"MM\0+": ("tiff", _read_tiff),
    b"\x89PNG\r\n\x1a\n": ("png", _read_png),
    b"\x93NUMPY": ("npy", _read_npy),
}
_UNITS = {"um": "µm", "micron": "µm", "\\u00B5m": "µm", "A": "Å", "angstrom": "Å"}


def format_of(path: Path) -> str:
    """The format that a file's name asks for.

    Raises
    ------
    FormatError
    """
    try:
        return SUFFIXES[path.suffix.lower()]
    except KeyError:
        raise FormatError(
            "unsupported_format",
            f"got the file name {path.name!r}, expected one that ends in {', '.join(SUFFIXES)}",
        ) from None


# --- writing ---------------------------------------------------------------------------------


def write(
    path: Path, pixels: Pixels, info: ImageInfo, format_: str, *, source: bool = False
) -> None:
    """Write an image with the calibration of its source.

    Parameters
    ----------
    path : Path
    pixels : ndarray, shape (m, n)
    info : ImageInfo
        Of the image that was uploaded.
    format_ : {"tiff", "png", "npy"}
        TIFF is float32, or uint16 for counts, and readable by ImageJ; NPY is exact; PNG is an 8-bit
        picture, its grays spread over the 0.1 to 99.9 percentiles.
    source : bool
        Instead, the type of the uploaded image: rounded to nearest, clipped to its range.
    """
    if source:
        pixels = to_dtype(pixels, np.dtype(info.dtype))
    _WRITERS[format_](path, pixels, info, source)


def to_dtype(pixels: Pixels, dtype: np.dtype[Any]) -> Pixels:
    """Convert to another type; integers are rounded to nearest, half to even, and clipped."""
    if dtype.kind == "f":
        return pixels.astype(dtype)
    limits = np.iinfo(dtype)
    return np.clip(np.rint(pixels), limits.min, limits.max).astype(dtype)


def _write_tiff(path: Path, pixels: Pixels, info: ImageInfo, source: bool) -> None:
    if not source:
        counts = pixels.dtype.kind in "iu" and pixels.max(initial=0) <= np.iinfo(np.uint16).max
        pixels = pixels.astype(np.uint16 if counts else np.float32)
    if pixels.dtype.type in IMAGEJ_TYPES:
        tifffile.imwrite(path, pixels, imagej=True, metadata=_axes(info), **_resolution(info))
    else:  # exact, though ImageJ reads other types through Bio-Formats only
        tifffile.imwrite(path, pixels, metadata=_axes(info), **_resolution(info))


def _axes(info: ImageInfo) -> dict[str, str]:
    unit = {"µm": "um", "Å": "A"}.get(info.unit or "", info.unit or "")  # ImageJ's, in ASCII
    unit = unit.encode("ascii", "replace").decode("ascii")
    return {"axes": "YX"} | ({"unit": unit} if unit else {})


def _resolution(info: ImageInfo) -> dict[str, Any]:
    if info.pixel_size is None:
        return {}
    height, width = info.pixel_size
    return {"resolution": (1 / width, 1 / height), "resolutionunit": "NONE"}


def _write_png(path: Path, pixels: Pixels, _info: ImageInfo, source: bool) -> None:
    if not source or pixels.dtype.type not in (np.uint8, np.uint16):
        pixels = display(pixels)
    Image.fromarray(pixels).save(path, format="PNG")


def _write_npy(path: Path, pixels: Pixels, _info: ImageInfo, _source: bool) -> None:
    with path.open("wb") as file:
        np.save(file, pixels, allow_pickle=False)


_WRITERS: dict[str, Callable[[Path, Pixels, ImageInfo, bool], None]] = {
    "tiff": _write_tiff,
    "png": _write_png,
    "npy": _write_npy,
}


def display(pixels: Pixels) -> NDArray[np.uint8]:
    """8-bit grays for looking at, shape (m, n)."""
    low, high = np.percentile(pixels, DISPLAY_PERCENTILES)
    span = high - low or 1.0
    grays: NDArray[np.uint8] = np.clip((pixels - low) * (255 / span), 0, 255).astype(np.uint8)
    return grays
