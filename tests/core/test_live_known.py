"""The filters of a specimen that is known do what is done of an image, in less time."""

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from reucid_core import DenoiseParams
from reucid_core.clock import Clock
from reucid_core.departures import mask_of
from reucid_core.exact import gram_of_patches
from reucid_core.grids import Frames
from reucid_core.live_known import Known
from reucid_core.noise_floor import noise_floor
from reucid_core.outcome import Task
from reucid_core.patches import origin_grid
from reucid_core.scales import Scales, find_scales
from reucid_core.two_scale import denoise_frame
from tests.support.strategies import blob_lattice

PARAMS = DenoiseParams(method="two-scale", threads=1)


def noisy(
    shape: tuple[int, int], noise: str, *, period: float = 9.3, seed: int = 3
) -> NDArray[np.float32]:
    """A lattice with a column that is not like the others, and white noise or such along rows."""
    rng = np.random.default_rng(seed)
    clean = 10 + 30 * blob_lattice(shape, period=period, sigma=1.8)
    m, n = shape
    clean[m // 2 : m // 2 + 7, n // 2 : n // 2 + 7] *= 0.3
    if noise == "counts":
        return rng.poisson(clean).astype(np.float32)
    drawn = rng.normal(0, 5, (m + 1, n + 1))
    if noise == "row":
        drawn[:, 1:] += 0.6 * drawn[:, :-1]
    if noise == "separable":
        drawn[:, 1:] += 0.6 * drawn[:, :-1]
        drawn[1:] += 0.5 * drawn[:-1]
    return (clean + drawn[1:, 1:]).astype(np.float32)


def found_in(image: NDArray[Any]) -> tuple[Frames, Scales, Task]:
    frames = Frames([image], PARAMS)
    task = Task(PARAMS, noise_floor, None, Clock())
    scales = find_scales(frames, task)
    assert isinstance(scales, Scales)
    return frames, scales, task


@pytest.mark.parametrize("noise", ["counts", "white", "row", "separable"])
@pytest.mark.parametrize("shape", [(192, 192), (187, 201), (160, 211)])
def test_a_frame_is_denoised_as_an_image_is(shape: tuple[int, int], noise: str) -> None:
    image = noisy(shape, noise)
    frames, scales, task = found_in(image)
    known = Known(scales, image.dtype, 1)
    seen = known.denoise(known.coefficients(frames[0]))
    expected = denoise_frame(frames, 0, scales, task, assessed=False)
    assert expected.recovery is not None
    departs = mask_of(expected.recovery.runs, shape)
    difference = (seen.image - expected.image) ** 2 / scales.noise.variance
    assert np.sqrt(difference[~departs & ~seen.departs].mean()) < 0.04
    assert np.sqrt(difference.mean()) < 0.15  # a column more or less departs
    assert abs(seen.departs.mean() - departs.mean()) < 0.02
    m, n = shape
    assert seen.departs[m // 2 + 3, n // 2 + 3]
    assert seen.image.dtype == image.dtype


def test_a_fine_lattice_is_filtered_on_the_full_grid() -> None:
    image = noisy((150, 144), "white", period=3.7)
    frames, scales, task = found_in(image)
    assert scales.lattice.spacing == 1
    known = Known(scales, image.dtype, 1)
    seen = known.denoise(known.coefficients(frames[0]))
    expected = denoise_frame(frames, 0, scales, task, assessed=False)
    difference = (seen.image - expected.image) ** 2 / scales.noise.variance
    assert np.sqrt(difference.mean()) < 0.06


def test_one_image_of_the_coarse_grid_has_the_patches_of_all() -> None:
    image = noisy((256, 256), "white")
    frames, scales, _ = found_in(image)
    assert scales.lattice.spacing == 2
    known = Known(scales, image.dtype, 1)
    G, number = known.patches(known.coefficients(frames[0]))
    p = scales.lattice.patch_size
    transforms = list(known.scales.whitened.transforms(2))
    expected = sum(gram_of_patches(each, p) for each in transforms)
    assert number == sum(np.prod(origin_grid(each.image.shape, p)) for each in transforms)
    assert np.abs(G - expected).max() < 0.01 * np.abs(expected).max()
    values, others = (np.linalg.eigvalsh(each)[-12:] for each in (G, expected))
    np.testing.assert_allclose(values, others, rtol=0.02)


def test_a_constant_added_is_a_constant_in_the_result() -> None:
    image = noisy((128, 128), "white")
    frames, scales, _ = found_in(image)
    known = Known(scales, image.dtype, 1)
    seen = known.denoise(known.coefficients(frames[0]))
    raised = known.denoise(known.coefficients(frames[0] + 1000))
    shift = raised.image - seen.image
    assert abs(shift.mean() - 1000) < 5  # its weight is below 1
    np.testing.assert_array_equal(raised.departs, seen.departs)


def test_noise_alone_does_not_depart_from_its_lattice() -> None:
    rng = np.random.default_rng(8)
    shares = []
    for _ in range(5):
        clean = 10 + 30 * blob_lattice((256, 256), period=9.3, sigma=1.8)
        image = (clean + rng.normal(0, 5, clean.shape)).astype(np.float32)
        frames, scales, _ = found_in(image)
        known = Known(scales, image.dtype, 1)
        shares.append(known.denoise(known.coefficients(frames[0])).departs.mean())
    assert np.mean(shares) < 0.01
