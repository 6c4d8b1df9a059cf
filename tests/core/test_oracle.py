"""`denoise` against its literal form."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from reucid_core import DenoiseParams, denoise
from reucid_core.patches import assign
from reucid_core.workload import max_stacks
from tests.core.literal import denoise_literally
from tests.support.strategies import Micrograph, keep_first, micrographs, odd_patch_sizes


@settings(max_examples=40)
@given(micrographs(), odd_patch_sizes, st.data())
def test_denoise_agrees_with_the_literal_algorithm(
    micrograph: Micrograph, p: int, data: st.DataObject
) -> None:
    image, rank = micrograph.image, min(micrograph.rank, p * p)
    stacks = data.draw(st.integers(1, min(4, max_stacks(image.shape, p))))
    params = DenoiseParams(patch_size=p, stacks=stacks, seed=data.draw(st.integers(0, 99)))

    result = denoise(image, params, classify=keep_first(rank))

    assignment = assign(image.shape, p, stacks, np.random.default_rng(params.seed).spawn(2)[0])
    expected, terrain = denoise_literally(image, assignment, p, kept=rank)
    np.testing.assert_array_equal(result.coverage, terrain)
    assert np.abs(result.image - expected).max() <= 1e-9 * np.abs(image).max()


@given(micrographs(), odd_patch_sizes, st.sampled_from([np.float32, np.float64]))
def test_the_report_and_the_eigenpatches_reproduce_the_result(
    micrograph: Micrograph, p: int, dtype: type
) -> None:
    image = micrograph.image.astype(dtype)
    stacks = min(3, max_stacks(image.shape, p))
    params = DenoiseParams(patch_size=p, stacks=stacks, seed=7)
    result = denoise(image, params, classify=keep_first(4))

    # What anybody would write who has the raw image, the report and the eigenpatches.
    report, p = result.report, result.report.patch_size
    rng = np.random.default_rng(report.seed).spawn(2)[0]
    grid = (image.shape[0] - p + 1, image.shape[1] - p + 1)
    stack_of = rng.integers(1, report.stacks + 1, size=grid, dtype=np.uint32)
    total, count = np.zeros(image.shape), np.zeros(image.shape)
    for (y, x), stack in np.ndenumerate(stack_of):
        kept = report.stack_reports[stack - 1].kept
        E = result.eigenpatches[stack - 1][kept].reshape(-1, p * p).astype(np.float64)
        patch = image[y : y + p, x : x + p].ravel().astype(np.float64)
        total[y : y + p, x : x + p] += (E.T @ (E @ patch)).reshape(p, p)
        count[y : y + p, x : x + p] += 1
    assert np.abs(result.image - total / count).max() <= 1e-6 * np.abs(image).max()
