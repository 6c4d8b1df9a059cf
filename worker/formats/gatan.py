"""DigitalMicrograph's tags of a TIFF, which HyperSpy reads, too: steps, units, offsets."""

from typing import Any

from worker.contract import ImageInfo

UNIT, ORIGIN, SCALE = 65003, 65006, 65009  # of x; y and the frames follow
TEXT, DOUBLE = 2, 12  # TIFF's types
Tag = tuple[int, int, int, Any, bool]


def gatan_tags(info: ImageInfo, *, stack: bool) -> list[Tag]:
    """Tags for `tifffile`, of the axes that are calibrated.

    Units are in Latin-1, as DigitalMicrograph writes them.
    """
    axes: list[tuple[int, float, float, str]] = []
    if info.pixel_size is not None and info.unit is not None:
        top, left = info.origin or (0.0, 0.0)
        axes += [(0, info.pixel_size[1], left, info.unit), (1, info.pixel_size[0], top, info.unit)]
    if stack and info.frame_step and info.frame_unit is not None:
        axes.append((2, info.frame_step, info.frame_origin or 0.0, info.frame_unit))
    return [tag for axis in axes for tag in _tags(*axis)]


def _tags(place: int, scale: float, offset: float, unit: str) -> list[Tag]:
    text = unit.encode("latin-1", "replace") + b"\0"
    return [
        (UNIT + place, TEXT, len(text), text, True),
        (ORIGIN + place, DOUBLE, 1, offset, True),
        (SCALE + place, DOUBLE, 1, scale, True),
    ]
