"""What is refused, and how the refusal names the fault."""

from typing import Any

import numpy as np
import pytest

from reucid_core import DenoiseParams, ImageError, ParameterError, ReucidError, denoise
from tests.support.strategies import keep_first

NOT_INTEGERS = [True, 2.0, "3", [3], np.float64(3)]
NOT_NUMBERS = [True, "0.5", [0.5], float("nan")]
REFUSED: dict[str, list[Any]] = {
    "outliers": ["", None, "remove"],
    "bias": ["yes", None, 1],
    "select": ["", None, "first", True],
    "patch_size_from": [7, True, b"information-limit"],
    "method": ["", None, "two scales", 2],
    "scan_axis": ["z", None, 0],
    "scan_noise": ["", None, True, "subtract"],
    "engine": ["fast", "", None, 1, "STACKED"],
    "precision": ["float16", None, 64, "double"],
    "patch_size": [*NOT_INTEGERS, 1, 0, -3, 4, 10],
    "stacks": [*NOT_INTEGERS, 0, -1],
    "components": [*NOT_INTEGERS, 0, -1],
    "memory_budget": [*NOT_INTEGERS, 0, -1],
    "threads": [*NOT_INTEGERS, 0, -1],
    "seed": [*NOT_INTEGERS, None, -1, 2**63],
    "threshold": [*NOT_NUMBERS, -0.01, 1.01, float("inf")],
    "deadline": [*NOT_NUMBERS, -1.0, 2e9, float("inf")],
}
ACCEPTED: dict[str, list[Any]] = {
    "outliers": ["keep", "repair"],
    "bias": [True, False],
    "select": ["any", "leading"],
    "patch_size_from": [None, "information-limit"],
    "method": ["paper", "two-scale"],
    "scan_axis": ["auto", "x", "y"],
    "scan_noise": ["auto", "remove", "keep"],
    "engine": ["auto", "stacked"],
    "precision": ["auto", "float32", "float64"],
    "patch_size": [None, 3, 11, 101],
    "stacks": [None, 1, 1000],
    "components": [None, 1, 10**6],
    "memory_budget": [None, 1, 2**60],
    "threads": [None, 1, 64],
    "seed": [0, 2**63 - 1],
    "threshold": [None, 0, 1, 0.5],
    "deadline": [None, 0, 1e9],
}


def pairs(table: dict[str, list[Any]]) -> list[tuple[str, Any]]:
    return [(field, value) for field, values in table.items() for value in values]


def test_every_field_is_tried() -> None:
    assert REFUSED.keys() == ACCEPTED.keys() == DenoiseParams.__dataclass_fields__.keys()


@pytest.mark.parametrize(("field", "value"), pairs(REFUSED))
def test_a_bad_value_is_refused_by_its_fields_name(field: str, value: Any) -> None:
    with pytest.raises(ParameterError, match=f"^{field}: got ") as caught:
        DenoiseParams(**{field: value})
    assert caught.value.field == field
    assert isinstance(caught.value, ReucidError | ValueError)


@pytest.mark.parametrize(("field", "value"), pairs(ACCEPTED))
def test_a_good_value_is_accepted(field: str, value: Any) -> None:
    assert getattr(DenoiseParams(**{field: value}), field) == value


@pytest.mark.parametrize(
    ("params", "field"),
    [
        (DenoiseParams(patch_size=11), "patch_size"),
        (DenoiseParams(patch_size=3, stacks=2), "stacks"),
    ],
)
def test_a_value_that_does_not_fit_the_image_is_refused(params: DenoiseParams, field: str) -> None:
    with pytest.raises(ParameterError) as caught:
        denoise(np.ones((12, 9)), params, classify=keep_first(1))
    assert caught.value.field == field


def image_with(value: float, dtype: str = "float64") -> np.ndarray:
    image = np.ones((9, 9), dtype)
    image[4, 5] = value
    return image


@pytest.mark.parametrize(
    ("image", "message"),
    [
        (np.ones((9, 9), bool), "bool"),
        (np.ones((9, 9), complex), "complex128"),
        (np.ones((9, 9), object), "object"),
        (np.full((9, 9), "1"), "U1"),
        (np.ones((9, 9), "datetime64[s]"), "datetime64"),
        (np.float64(1), "shape"),
        (np.ones(9), "shape"),
        (np.ones((2, 9, 9)), "shape"),
        (np.ones((9, 9, 3)), "shape"),
        (np.ones((2, 9)), "at least 3 x 3"),
        (np.ones((9, 2)), "at least 3 x 3"),
        (np.ones((0, 0)), "at least 3 x 3"),
        (image_with(np.nan), "1 pixels that are NaN or infinite"),
        (image_with(np.inf), "1 pixels that are NaN or infinite"),
        (image_with(-np.inf, "float32"), "1 pixels that are NaN or infinite"),
        (image_with(1e13, "float32"), "rescale"),
        (np.full((9, 9), 1e-13, "float32"), "rescale"),
        (image_with(1e101), "rescale"),
        (np.full((9, 9), 5e-324), "rescale"),
    ],
)
def test_what_is_no_image_is_refused(image: np.ndarray, message: str) -> None:
    with pytest.raises(ImageError, match=message):
        denoise(image, classify=keep_first(1))


def test_values_beyond_the_stated_precision_are_refused() -> None:
    single = DenoiseParams(precision="float32")
    for image in (image_with(1e39), np.full((9, 9), 1e-60)):
        with pytest.raises(ImageError, match="float32"):
            denoise(image, single, classify=keep_first(1))


@pytest.mark.parametrize(("dtype", "largest"), [("float32", 1e12), ("float64", 1e100)])
@pytest.mark.parametrize("power", [1, -1])
def test_the_largest_and_smallest_intensities_are_denoised(
    dtype: str, largest: float, power: int
) -> None:
    unit = np.random.default_rng(0).uniform(0.5, 1, (40, 40))
    image = (0.999 * unit * largest if power > 0 else 2.001 * unit / largest).astype(dtype)
    result = denoise(image, DenoiseParams(patch_size=5), classify=keep_first(3))
    scale = image.max()
    expected = denoise(unit, DenoiseParams(patch_size=5), classify=keep_first(3)).image
    np.testing.assert_allclose(result.image / scale * unit.max(), expected, rtol=1e-3)
