"""Stacks: each frame by itself, or all by one decomposition."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from reucid_core import (
    Decomposition,
    DenoiseParams,
    ParameterError,
    Result,
    denoise,
    denoise_frames,
)
from reucid_core.exact import Transform, grams_of
from reucid_core.grids import SAMPLE
from reucid_core.metrics import psnr
from reucid_core.replay import patch_energy, replay
from tests.support.strategies import blob_lattice

PARAMS = DenoiseParams(patch_size=5, components=9, threads=1)


def classify(decomposition: Decomposition) -> NDArray[np.float64]:
    """The first four are useful."""
    return (np.arange(len(decomposition.singular_values)) < 4).astype(float)


@pytest.fixture
def frames() -> NDArray[np.uint16]:
    """Three frames of one noisy lattice."""
    rows, columns = np.mgrid[:40, :48]
    lattice = 30 + 10 * np.cos(rows / 1.3) * np.cos(columns / 1.7)
    return np.random.default_rng(4).poisson(lattice, (3, 40, 48)).astype(np.uint16)


def test_each_frame_is_denoised_as_if_alone(frames: NDArray[np.uint16]) -> None:
    results = list(denoise_frames(frames, PARAMS, classify=classify))
    assert len(results) == 3
    for frame, result in zip(frames, results, strict=True):
        alone = denoise(frame, PARAMS, classify=classify)
        np.testing.assert_array_equal(result.image, alone.image)
        assert result.report.patch_size == alone.report.patch_size


def test_joint_eigenpatches_are_those_of_all_patches(frames: NDArray[np.uint16]) -> None:
    windows = np.lib.stride_tricks.sliding_window_view(frames.astype(float), (5, 5), axis=(1, 2))
    patches = windows.reshape(-1, 25)
    transforms = (Transform.of(frame.astype(float)) for frame in frames)
    sums = grams_of(transforms, [5])
    found = Decomposition.of_gram_matrix(sums.arrays[0], 9, n_patches=sums.numbers[0])
    _, singular_values, vectors = np.linalg.svd(patches, full_matrices=False)
    np.testing.assert_allclose(found.singular_values, singular_values[:9], rtol=1e-9)
    overlap = np.abs(np.einsum("kp,kp->k", found.eigenpatches.reshape(9, -1), vectors[:9]))
    np.testing.assert_allclose(overlap[:3], 1, atol=1e-6)  # the others are nearly degenerate
    assert found.n_patches == len(patches)
    assert found.energy == pytest.approx((patches**2).sum())


def test_joint_frames_are_filtered_by_the_same_eigenpatches(frames: NDArray[np.uint16]) -> None:
    results = list(denoise_frames(frames, PARAMS, classify=classify, joint=True))
    (first,) = results[0].eigenpatches
    useful = first[:4].reshape(4, 25)
    for frame, result in zip(frames, results, strict=True):
        assert result.report.stack_reports == results[0].report.stack_reports
        windows = np.lib.stride_tricks.sliding_window_view(frame.astype(float), (5, 5))
        truncated = (windows.reshape(-1, 25) @ useful.T @ useful).reshape(windows.shape)
        canvas, count = np.zeros((40, 48)), np.zeros((40, 48))
        for y, x in np.ndindex(windows.shape[:2]):
            canvas[y : y + 5, x : x + 5] += truncated[y, x]
            count[y : y + 5, x : x + 5] += 1
        np.testing.assert_allclose(result.image, canvas / count, rtol=1e-5)
        np.testing.assert_array_equal(result.coverage, count)


def test_one_frame_jointly_is_the_exact_engine(frames: NDArray[np.uint16]) -> None:
    params = DenoiseParams(method="paper", engine="exact")
    (joint,) = denoise_frames(frames[:1], params, classify=classify, joint=True)
    alone = denoise(frames[0], params, classify=classify)
    np.testing.assert_array_equal(joint.image, alone.image)
    assert joint.report.patch_size == alone.report.patch_size


def test_frames_are_read_when_asked_for(frames: NDArray[np.uint16]) -> None:
    read = []

    class Lazily:
        def __len__(self) -> int:
            return 3

        def __iter__(self) -> object:
            for n, frame in enumerate(frames):
                read.append(n)
                yield frame

    results = denoise_frames(Lazily(), PARAMS, classify=classify)  # type: ignore[arg-type]
    next(results)
    assert read == [0]


def test_no_frame_is_begun_after_the_deadline(frames: NDArray[np.uint16]) -> None:
    params = DenoiseParams(patch_size=5, deadline=0.0)  # of method paper, then of two scales
    assert len(list(denoise_frames(frames, replace(params, method="paper")))) == 1
    assert len(list(denoise_frames(frames, params, classify=classify))) == 1


@pytest.mark.parametrize("params", [{"engine": "stacked"}, {"stacks": 2}, {"deadline": 1.0}])
def test_joint_is_for_the_exact_engine(
    frames: NDArray[np.uint16], params: dict[str, object]
) -> None:
    with pytest.raises(ParameterError) as refused:
        next(denoise_frames(frames, DenoiseParams(**params), classify=classify, joint=True))
    assert refused.value.field == "frames"


@pytest.mark.parametrize("joint", [False, True])
def test_input_is_not_modified(frames: NDArray[np.uint16], joint: bool) -> None:
    before = frames.copy()
    list(denoise_frames(frames, PARAMS, classify=classify, joint=joint))
    np.testing.assert_array_equal(frames, before)


TRUTH = 10 + 30 * blob_lattice((112, 120), period=11, sigma=2.5)


def noisy_lattices(number: int, sigma: float = 12.0) -> NDArray[np.float32]:
    """Frames of one lattice, noise correlated along the rows, a spike in the second."""
    noise = np.random.default_rng(7).normal(size=(number, 112, 121))
    frames = TRUTH + sigma * (noise[..., 1:] + noise[..., :-1]) / np.sqrt(2)
    if number > 1:
        frames[1, 30, 40] = 1e4
    return frames.astype(np.float32)


def two_scales(frames: Any, **params: Any) -> list[Result]:
    params = {"method": "two-scale", "threads": 1} | params
    return list(denoise_frames(frames, DenoiseParams(**params), joint=True))


def test_joint_frames_share_noise_lattice_and_details() -> None:
    frames = noisy_lattices(4)
    before = frames.copy()
    first, *others = two_scales(frames)
    for other in others:
        assert other.report.noise == first.report.noise
        assert other.report.weights == first.report.weights
        assert other.report.stack_reports == first.report.stack_reports
        for one, another in zip(first.eigenpatches, other.eigenpatches, strict=True):
            np.testing.assert_array_equal(one, another)
    assert others[0].report.outliers is not None
    assert others[0].report.outliers.positions == ([30], [40])
    assert first.report.noise is not None
    assert first.report.noise.kind == "row"
    np.testing.assert_array_equal(frames, before)


def test_joint_frames_are_better_than_each_by_itself() -> None:
    frames = noisy_lattices(6)
    frames[1, 30, 40] = TRUTH[30, 40]
    alone = list(denoise_frames(frames, DenoiseParams(method="two-scale", threads=1)))
    gains = [
        psnr(joint.image, TRUTH) - psnr(each.image, TRUTH)
        for joint, each in zip(two_scales(frames), alone, strict=True)
    ]
    assert np.mean(gains) > 0.05
    assert min(gains) > -0.05


def test_joint_frames_are_replayed_one_by_one() -> None:
    frames = noisy_lattices(3)
    results = two_scales(frames)
    energies = np.zeros(1)
    for frame, result in zip(frames, results, strict=True):
        again, coverage = replay(frame, result.report, result.eigenpatches)
        np.testing.assert_allclose(again, result.image, rtol=0, atol=1e-5 * TRUTH.max())
        np.testing.assert_array_equal(coverage, result.coverage)
        energies += patch_energy(frame, result.report)
    assert energies[0] == pytest.approx(results[0].report.stack_reports[0].energy, rel=1e-4)


def test_one_frame_jointly_is_that_frame_at_two_scales() -> None:
    (joint,) = two_scales(noisy_lattices(1))
    alone = denoise(noisy_lattices(1)[0], DenoiseParams(method="two-scale", threads=1))
    np.testing.assert_array_equal(joint.image, alone.image)
    assert joint.report.stack_reports == alone.report.stack_reports


def test_more_frames_than_are_looked_at_share_what_is_found_in_all(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The patch size is chosen in a sample, what is found at it is found in all frames."""
    frames = noisy_lattices(5)
    expected = two_scales(frames)
    assert frames.size < SAMPLE
    monkeypatch.setattr("reucid_core.grids.SAMPLE", 2 * TRUTH.size)
    found = two_scales(frames)
    assert found[0].report.patch_size == expected[0].report.patch_size
    np.testing.assert_allclose(found[4].image, expected[4].image, atol=1e-5 * TRUTH.max())


def test_joint_frames_without_noise_are_returned() -> None:
    frames = np.stack([TRUTH, TRUTH + 1]).astype(np.float32)
    frames[:] = frames[:, :1, :1]
    results = two_scales(frames)
    for frame, result in zip(frames, results, strict=True):
        np.testing.assert_array_equal(result.image, frame)
        assert any("no noise could be measured" in text for text in result.report.warnings)
    energies = [patch_energy(frame, results[0].report)[0] for frame in frames]
    assert sum(energies) == pytest.approx(results[0].report.stack_reports[0].energy)
