"""What FEI's programs add to the header of an MRC file: a record for each frame.

EPU's records (FEI1, FEI2) say which of their fields are set. Those of the tomography software
before it are 1024 of 128 bytes each, and nothing names them.
"""

import math
from typing import Any

import numpy as np
from mrcfile.dtypes import get_ext_header_dtype

EPU = (b"FEI1", b"FEI2")
PIXEL_SIZE = ("Pixel size Y", "Pixel size X")  # m
PIXEL_SIZE_BITS = (1 << 15, 1 << 14)  # of "Bitmask 1": whether they are set
FIELDS = (
    *("a_tilt", "b_tilt", "x_stage", "y_stage", "z_stage", "x_shift", "y_shift", "defocus"),
    *("exp_time", "mean_int", "tilt_axis", "pixel_size", "magnification", "ht", "binning"),
)
TOLD = (*FIELDS, *PIXEL_SIZE, "HT", "Dose", "Alpha tilt", "Beta tilt", "Defocus", "Magnification")
OLD_RECORD, OLD_RECORDS = 128, 1024
SMALLEST, LARGEST = 1e-13, 1e-4  # m: what a pixel may be


def first_record(file: Any) -> dict[str, float]:
    """The numbers of the first frame's record; empty when there is none."""
    content, kind = file.extended_header.tobytes(), bytes(file.header.exttyp)
    order = ">" if file.header.nx.dtype.byteorder == ">" else "<"
    if kind in EPU:
        return _record(content, get_ext_header_dtype(kind, order))
    if kind.strip(b"\0 ") or len(content) != OLD_RECORD * OLD_RECORDS:
        return {}
    record = _record(content, np.dtype([(name, f"{order}f4") for name in FIELDS]))
    return record if record["magnification"] >= 1 else {}  # else another program's numbers


def _record(content: bytes, layout: np.dtype[Any]) -> dict[str, float]:
    """The numbers among the fields of a record."""
    if len(content) < layout.itemsize:
        return {}
    (record,) = np.frombuffer(content, layout, 1)
    numbers = [name for name in layout.names or () if layout[name].kind in "iuf"]
    return {name: record[name].item() for name in numbers}


def told(file: Any) -> dict[str, float]:
    """The same, without what only a program needs."""
    return {name: value for name, value in first_record(file).items() if name in TOLD}


def extended_pixel_size(file: Any) -> tuple[float, float] | None:
    """Height and width of a pixel in m; None where no extension states them."""
    record = first_record(file)
    if "pixel_size" in record:
        sides = (record["pixel_size"],) * 2
    else:
        mask = int(record.get("Bitmask 1", 0))
        is_set = [not mask or bool(mask & bit) for bit in PIXEL_SIZE_BITS]  # 0: not made use of
        height, width = (record.get(name, 0.0) for name in PIXEL_SIZE)
        sides = (height, width) if all(is_set) else (0.0, 0.0)
    if all(math.isfinite(side) and SMALLEST < side < LARGEST for side in sides):
        return sides
    return None
