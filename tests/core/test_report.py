"""The report stands for the result."""

import json

import numpy as np
import pytest

from reucid_core import DenoiseParams, denoise
from tests.support.strategies import keep_first, keep_none, waves


@pytest.mark.parametrize(
    "image",
    [
        np.zeros((12, 12)),
        np.full((9, 30), 7, np.uint16),
        np.random.default_rng(0).normal(5, 1, (40, 33)),
        (1e12 * waves((40, 40), number=1, seed=0)).clip(-1e12, 1e12).astype(np.float32),
        1e-99 * waves((40, 40), number=1, seed=0),
        0.9e100 * np.sign(waves((40, 40), number=1, seed=0)),
    ],
)
@pytest.mark.parametrize("classify", [keep_first(2), keep_none])
def test_the_report_is_json_with_finite_numbers(image, classify) -> None:  # type: ignore[no-untyped-def]
    report = denoise(image, classify=classify).report
    told = json.loads(json.dumps(report.to_dict(), allow_nan=False))
    assert told["complete"] is True
    assert told["shape"] == list(image.shape)
    assert told["patch_size"] == report.patch_size


def test_the_report_describes_each_stack() -> None:
    image = np.random.default_rng(0).normal(5, 1, (30, 30))
    params = DenoiseParams(patch_size=5, stacks=3, components=7, seed=5)
    report = denoise(image, params, classify=keep_first(2)).report
    assert (report.stacks, report.stacks_origin, report.stacks_done) == (3, "given", 3)
    assert (report.patch_size_origin, report.psf_radius, report.psf_profile) == ("given", None, [])
    assert (report.seed, report.components, report.precision) == (5, 7, "float64")
    assert sum(stack.n_patches for stack in report.stack_reports) == 26 * 26
    for number, stack in enumerate(report.stack_reports, start=1):
        assert stack.stack == number
        assert stack.kept == [True, True] + 5 * [False]
        assert stack.relative_singular_values[0] == 1
        assert sum(stack.energy_shares) <= 1
        assert len(stack.singular_values) == len(stack.utilities) == 7
    assert report.seconds.keys() >= {"psf", "gather", "decompose", "classify", "fuse", "terrain"}
    assert all(seconds >= 0 for seconds in report.seconds.values())
    assert report.versions.keys() >= {"python", "numpy", "scipy"}
