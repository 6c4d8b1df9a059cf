"""Images in which little can be measured: finite numbers and a word, or a refusal with one."""

import json
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from reucid_core import DenoiseParams, ImageError, Result, denoise, denoise_frames
from reucid_core.replay import replay


def two_scales(image: Any, **params: Any) -> Result:
    return denoise(image, DenoiseParams(method="two-scale", **params))


N = np.random.default_rng(0).normal(50, 5, (64, 64))
ROWS, COLUMNS = np.indices((64, 64))
SPIKE = (ROWS == 30) & (COLUMNS == 30)
BAD: dict[str, NDArray[Any]] = {
    "constant": np.full((64, 64), 7.0),
    "zeros": np.zeros((40, 40)),
    "two levels": np.where(COLUMNS > 30, 1.0, 0.0),
    "chequered": (ROWS + COLUMNS) % 2,
    "blank upper half": np.where(ROWS < 32, 0, N),
    "blank left half": np.where(COLUMNS < 32, 0, N),
    "every other row zero": np.where(ROWS % 2 == 0, 0, N),
    "a few rows zero": np.where(ROWS < 5, 0, N),
    "3 x 3": N[:3, :3],
    "4 x 3": N[:4, :3],
    "5 x 64": N[:5],
    "16 x 16": N[:16, :16],
    "17 x 17": N[:17, :17],
    "64 x 17": N[:, :17],
    "one row of noise": np.where(ROWS == 30, N, 50),
    "one column of noise": np.where(COLUMNS == 30, N, 50),
    "a spike": np.where(SPIKE, 1.0, 0.0),
    "a spike in noise": np.where(SPIKE, 1e6, N),
    "a wave": np.cos(ROWS / 5.0),
    "a ramp": COLUMNS,
    "levels of rows": np.repeat(N[:, :1], 64, axis=1),
    "two values of noise": (N > 50) * 1,
    "few counts": np.random.default_rng(1).poisson(0.01, (64, 64)),
    "no counts but one": np.where(SPIKE, 1, 0),
    "large offset": N + 1e6,
    "below zero": N - 1e9,
    "tiny": N * 1e-20,
    "huge": N * 1e25,
    **{kind: N.astype(kind) for kind in ("u1", "i1", "u2", ">u2", "i2", "u4", "i4", "u8", "i8")},
    **{kind: N.astype(kind) for kind in ("f4", ">f4", "f8", ">f8")},
}


@pytest.mark.parametrize("precision", ["auto", "float32", "float64"])
@pytest.mark.parametrize("image", BAD.values(), ids=BAD)
def test_any_image_gives_finite_numbers_or_a_refusal(image: Any, precision: str) -> None:
    before = image.copy()
    magnitude = float(np.abs(image.astype(np.float64)).max())
    if precision == "float32" and not (magnitude == 0 or 1e-12 <= magnitude <= 1e12):
        with pytest.raises(ImageError, match="rescale"):
            two_scales(image, precision=precision)
        return
    result = two_scales(image, precision=precision)
    np.testing.assert_array_equal(image, before)
    check(image, result)


@pytest.mark.parametrize("name", ["constant", "two levels", "chequered", "16 x 16", "a ramp"])
def test_where_no_noise_can_be_measured_the_image_is_returned_and_it_says_so(name: str) -> None:
    result = two_scales(BAD[name])
    np.testing.assert_array_equal(result.image, BAD[name])
    assert any("no noise could be measured" in warning for warning in result.report.warnings)


@pytest.mark.parametrize("name", BAD)
@pytest.mark.parametrize("joint", [False, True])
def test_stacks_of_them_too(name: str, joint: bool) -> None:
    frames = np.stack([BAD[name], np.roll(BAD[name], 5, axis=1)])
    before = frames.copy()
    results = list(denoise_frames(frames, DenoiseParams(method="two-scale"), joint=joint))
    assert len(results) == 2
    for frame, result in zip(frames, results, strict=True):
        check(frame, result)
    np.testing.assert_array_equal(frames, before)


@pytest.mark.parametrize("name", BAD)
def test_in_bands_they_are_what_they_are_whole(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    image = BAD[name].astype(np.float64)
    whole = two_scales(image)
    monkeypatch.setattr("reucid_core.scales.band_height", lambda *_: 16)
    banded = two_scales(image)
    check(image, banded)
    atol = 1e-9 * max(float(np.ptp(image)), float(np.abs(whole.residual).max()))
    atol += 64 * float(np.finfo(np.float64).eps * np.abs(image).max())
    np.testing.assert_allclose(banded.image, whole.image, rtol=0, atol=atol)


def check(image: NDArray[Any], result: Result) -> None:
    """All is finite, told in JSON, and what the eigenpatches yield."""
    assert np.isfinite(result.image).all()
    assert result.image.shape == image.shape
    json.dumps(result.report.to_dict(), allow_nan=False)
    again, _ = replay(image, result.report, result.eigenpatches)
    atol = 1e-4 * max(float(np.abs(result.residual).max()), float(np.ptp(result.image)))
    atol += 8 * float(np.finfo(result.image.dtype).eps * np.abs(result.image).max())
    np.testing.assert_allclose(again, result.image, rtol=0, atol=atol)
