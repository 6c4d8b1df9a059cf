"""The image as the computation needs it. Nothing here or later writes into it."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from reucid_core.eigenpatches import FloatArray
from reucid_core.errors import ImageError
from reucid_core.params import MIN_PATCH_SIZE, Precision

LARGEST = {"float32": 1e12, "float64": 1e100}  # squares summed over all patches stay finite


def check_image(image: NDArray[Any]) -> None:
    """Refuse what is not one real, two-dimensional image.

    Raises
    ------
    ImageError
    """
    if image.dtype.kind not in "iuf":
        raise ImageError(f"got an image of {image.dtype}, expected integers or floats")
    if image.ndim != 2:
        raise ImageError(
            f"got an array of shape {image.shape}, expected the rows and columns of one "
            "single-channel image"
        )
    if min(image.shape) < MIN_PATCH_SIZE:
        raise ImageError(
            f"got an image of {image.shape[0]} x {image.shape[1]} px, expected at least "
            f"{MIN_PATCH_SIZE} x {MIN_PATCH_SIZE} px, the smallest patch"
        )


def as_working_image(image: NDArray[Any], precision: Precision) -> FloatArray:
    """The image as C-contiguous floats, shape (m, n): itself where it is that already.

    Parameters
    ----------
    image : ndarray, shape (m, n), integer or floating, any byte order
    precision : {"auto", "float32", "float64"}
        `auto` is float32 where that holds every value of the image's type.

    Raises
    ------
    ImageError
        When the image is not 2-D, real and finite, is too small, or when its values or their
        squares over- or underflow `precision`.
    """
    check_image(image)
    return as_working_rows(image, precision)


def as_working_rows(image: NDArray[Any], precision: Precision) -> FloatArray:
    """The same of some rows of an image, shape (k, n), which may be few.

    Raises
    ------
    ImageError
        When a value is not finite, or it or its square over- or underflows `precision`.
    """
    if precision == "auto":
        fits = image.dtype.itemsize <= (4 if image.dtype.kind == "f" else 2)
        precision = "float32" if fits else "float64"
    with np.errstate(over="ignore"):
        working = image.astype(precision, order="C", copy=False)
    low, high = float(working.min()), float(working.max())  # NaN where there is one
    if not (np.isfinite(low) and np.isfinite(high)):
        broken = working.size - int(np.count_nonzero(np.isfinite(working)))
        raise ImageError(
            f"got {broken} pixels that are NaN or infinite in {precision}, expected none: replace "
            "them or crop the image first"
        )
    largest = max(float(image.max()), -float(image.min()))  # those of the source: none is 0 yet
    limit = LARGEST[precision]
    if largest and not 1 / limit <= largest <= limit:
        raise ImageError(
            f"got a largest magnitude of {largest:.3g}, expected {1 / limit:g} to {limit:g} in "
            f"{precision}, whose squares over- or underflow otherwise: rescale the image"
        )
    return working
