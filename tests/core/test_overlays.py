"""What is drawn over an image, or missing from it, is found; what is clipped is not."""

import numpy as np
import pytest
import scipy.ndimage
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from reucid_core import DenoiseParams, Result, denoise
from reucid_core.metrics import psnr
from reucid_core.overlays import LONG, _lines, bridged, find_overlays
from reucid_core.replay import replay

SHAPE = (180, 200)
Pixels = NDArray[np.float32]
Drawn = tuple[Pixels, NDArray[np.bool_]]


def truth(dose: float) -> Pixels:
    rows, columns = np.mgrid[: SHAPE[0], : SHAPE[1]]
    waves = np.cos(2 * np.pi * rows / 9) * np.cos(2 * np.pi * columns / 11)
    return np.asarray(dose * (1 + 0.7 * waves), dtype=np.float32)


def counts(dose: float, seed: int = 3) -> Pixels:
    return np.random.default_rng(seed).poisson(truth(dose)).astype(np.float32)


def with_boxes(image: Pixels, value: float, *boxes: tuple[slice, slice]) -> Drawn:
    drawn, mask = image.copy(), np.zeros(image.shape, dtype=bool)
    for box in boxes:
        drawn[box], mask[box] = value, True
    return drawn, mask


def bar(image: Pixels) -> Drawn:
    return with_boxes(image, 255, (slice(160, 168), slice(10, 80)))


def dark_bar(image: Pixels) -> Drawn:
    return with_boxes(image, 0, (slice(160, 168), slice(10, 80)))


def ticks(image: Pixels) -> Drawn:
    return with_boxes(image, 255, *((slice(150, 166), slice(x, x + 1)) for x in range(10, 50, 6)))


def lost_rows(image: Pixels) -> Drawn:
    return with_boxes(image, 0, (slice(40, 41), slice(None)), (slice(120, 123), slice(None)))


def lost_column(image: Pixels) -> Drawn:
    return with_boxes(image, 0, (slice(None), slice(77, 78)))


def saturated_row(image: Pixels) -> Drawn:
    return with_boxes(image, 65535, (slice(90, 91), slice(None)))


def part_of_a_row(image: Pixels) -> Drawn:
    return with_boxes(image, 65535, (slice(90, 91), slice(20, 130)))


def aborted_scan(image: Pixels) -> Drawn:
    return with_boxes(image, 0, (slice(160, None), slice(None)))


def letters() -> NDArray[np.float32]:
    """Smooth at their edges, from 0 to 1, shape (30, 90)."""
    stamp = Image.new("L", (90, 30))
    ImageDraw.Draw(stamp).text((2, 0), "10 nm", fill=255, font=ImageFont.load_default(size=24))
    return np.asarray(stamp) / np.float32(255)


def box_with_text(image: Pixels) -> Drawn:
    """White on black."""
    drawn, mask = with_boxes(image, 0, (slice(150, None), slice(None)))
    drawn[150:, 20:110] = 255 * letters()
    return drawn, mask


def text_beside_a_bar(image: Pixels) -> Drawn:
    drawn, mask = bar(image)
    place, share = (slice(128, 158), slice(10, 100)), letters()
    drawn[place] = share * 255 + (1 - share) * drawn[place]
    mask[place] |= share > 0.7
    return drawn, mask


KINDS = [
    *(bar, dark_bar, ticks, lost_rows, lost_column, saturated_row, part_of_a_row),
    *(aborted_scan, box_with_text, text_beside_a_bar),
]


# At 100 half-tones of letters are no brighter than columns.
CASES = [
    (kind, dose)
    for kind in KINDS
    for dose in (6.0, 30.0, 100.0)
    if kind is not text_beside_a_bar or dose < 100
]


@pytest.mark.parametrize(("kind", "dose"), CASES)
def test_it_is_found_and_little_else(kind: object, dose: float) -> None:
    drawn, mask = kind(counts(dose))  # type: ignore[operator]
    found = find_overlays(drawn)
    assert np.count_nonzero(mask & ~found) <= 0.03 * np.count_nonzero(mask)
    near = np.zeros(SHAPE, dtype=bool)
    y, x = np.nonzero(mask)
    for dy in (-1, 0, 1):
        for dx in (-1, 0, 1):
            near[np.clip(y + dy, 0, SHAPE[0] - 1), np.clip(x + dx, 0, SHAPE[1] - 1)] = True
    assert not (found & ~near).any()


@pytest.mark.parametrize("dose", [0.3, 1.0, 6.0, 100.0, 1e4])
@pytest.mark.parametrize("clipped", [0.0, 0.01, 0.1, 0.3])
def test_of_what_is_only_clipped_none_is(dose: float, clipped: float) -> None:
    image = counts(dose)
    low, high = np.quantile(image, [clipped, 1 - clipped])
    stretched = np.rint(255 * (np.clip(image, low, high) - low) / max(high - low, 1))
    assert not find_overlays(stretched).any()
    assert not find_overlays(image).any()


def test_atoms_that_saturate_are_none() -> None:
    rows, columns = np.mgrid[: SHAPE[0], : SHAPE[1]]
    image = np.random.default_rng(2).normal(20, 3, SHAPE)
    for y, x, sigma in ((40, 50, 1.5), (90, 60, 4.0), (120, 150, 12.0)):
        image += 2000 * np.exp(-((rows - y) ** 2 + (columns - x) ** 2) / (2 * sigma**2))
    assert not find_overlays(np.clip(np.rint(image), 0, 255)).any()


ROWS = np.repeat(np.arange(60.0)[:, None], 50, axis=1)


@pytest.mark.parametrize("image", [np.zeros(SHAPE), np.full((3, 3), 7.0), np.eye(12), ROWS])
def test_plain_images_have_none(image: NDArray[np.float64]) -> None:
    assert not find_overlays(image).any()


def test_half_an_image_is_the_image() -> None:
    image = counts(30)
    image[90:] = 0
    assert not find_overlays(image).any()


def test_a_gap_is_bridged_by_its_surroundings() -> None:
    image = np.add.outer(np.arange(60.0), np.arange(50.0))
    unknown = np.zeros(image.shape, dtype=bool)
    unknown[20:30, 10:40] = unknown[0] = True
    before = image.copy()
    filled = bridged(image, unknown)
    np.testing.assert_array_equal(image, before)
    np.testing.assert_array_equal(filled[~unknown], image[~unknown])
    assert np.abs(filled - image)[unknown].max() < 0.15 * np.ptp(image)


def test_a_lattice_is_continued_through_a_gap() -> None:
    unknown = np.zeros(SHAPE, dtype=bool)
    unknown[60:72, 30:150] = True
    filled = bridged(counts(30), unknown)
    assert psnr(filled[unknown], truth(30)[unknown]) > 25


def two_scale(image: Pixels, **stated: object) -> Result:
    return denoise(image, DenoiseParams(method="two-scale", threads=1, **stated))  # type: ignore[arg-type]


@pytest.mark.parametrize("kind", [bar, text_beside_a_bar, saturated_row, lost_rows, box_with_text])
def test_it_does_not_harm_the_rest(kind: object) -> None:
    clean = counts(30)
    drawn, _ = kind(clean)  # type: ignore[operator]
    before = drawn.copy()
    result = two_scale(drawn)
    np.testing.assert_array_equal(drawn, before)
    found = result.report.outliers
    assert found is not None
    assert found.boxes
    overlays = find_overlays(drawn)
    np.testing.assert_array_equal(result.image[overlays], drawn[overlays])  # kept as it was
    assert any("areas are drawn over the image" in text for text in result.report.warnings)
    away = scipy.ndimage.distance_transform_edt(~overlays) > 10
    expected = psnr(two_scale(clean).image[away], truth(30)[away])
    allowed = (
        8 if kind is box_with_text else 1.5
    )  # dB, of 44: a margin is not continued as a gap is
    assert psnr(result.image[away], truth(30)[away]) > expected - allowed


def test_it_is_repaired_where_that_is_wanted() -> None:
    drawn, mask = bar(counts(30))
    repaired = two_scale(drawn, outliers="repair").image
    assert repaired[mask].max() < 1.5 * truth(30).max()


@pytest.mark.parametrize("treatment", ["keep", "repair"])
def test_a_result_without_it_is_replayed(treatment: str) -> None:
    drawn, _ = text_beside_a_bar(counts(30))
    drawn[20, 30] = 9999
    result = two_scale(drawn, outliers=treatment)
    again, _ = replay(drawn, result.report, result.eigenpatches, threads=1)
    assert np.abs(again - result.image).max() <= 1e-6 * np.ptp(drawn)


@pytest.mark.parametrize("seed", range(20))
def test_lines_are_the_opening_by_a_line(seed: int) -> None:
    rng = np.random.default_rng(seed)
    mask = rng.random(rng.integers(1, 40, 2)) < rng.uniform(0.3, 0.98)
    opened = scipy.ndimage.binary_opening(mask, np.ones((1, LONG), dtype=bool))
    np.testing.assert_array_equal(_lines(mask), opened)
