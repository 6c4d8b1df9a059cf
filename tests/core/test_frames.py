"""Stacks: each frame by itself, or all by one decomposition."""

import numpy as np
import pytest
from numpy.typing import NDArray

from reucid_core import Decomposition, DenoiseParams, ParameterError, denoise, denoise_frames
from reucid_core.exact import Transform, decompose_frames

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
    found = decompose_frames(transforms, 5, 9)
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
    (joint,) = denoise_frames(frames[:1], DenoiseParams(), classify=classify, joint=True)
    alone = denoise(frames[0], DenoiseParams(engine="exact"), classify=classify)
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
    params = DenoiseParams(patch_size=5, deadline=0.0)
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
