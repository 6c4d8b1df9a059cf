"""What workers tell each other of a stack comes out as it went in."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from reucid_core import DenoiseParams, noise_floor
from reucid_core.exact import Sums
from reucid_core.joint import Wanted, find_shared
from worker.denoising import briefs

PARAMS: list[dict[str, Any]] = [{}, {"method": "paper"}, {"patch_size": 5}]


@pytest.fixture
def frames() -> NDArray[np.uint16]:
    rows, columns = np.mgrid[:40, :48]
    lattice = 30 + 10 * np.cos(rows / 1.3) * np.cos(columns / 1.7)
    return np.random.default_rng(4).poisson(lattice, (4, 40, 48)).astype(np.uint16)


def there_and_back(content: Any, folder: Path) -> Any:
    """Through a file, whose bytes are the same when it is written again."""
    first, second = folder / "first.npz", folder / "second.npz"
    briefs.write(first, content, {"model": "m"})
    found, made_with = briefs.read(first)
    assert made_with == {"model": "m"}
    briefs.write(second, found, made_with)
    assert first.read_bytes() == second.read_bytes()
    assert type(found) is type(content)
    return found


@pytest.mark.parametrize("stated", PARAMS)
@pytest.mark.parametrize("noisy", [True, False])
def test_frames_are_denoised_by_what_was_told(
    frames: NDArray[np.uint16], stated: dict[str, Any], noisy: bool, tmp_path: Path
) -> None:
    if not noisy:
        frames = np.broadcast_to(frames[:1] // 60 * 60, frames.shape)
    params = DenoiseParams(threads=1, **stated)

    def add_up(wanted: Wanted) -> Sums:
        told = there_and_back(wanted, tmp_path)
        halves = [told.over(frames[:1], params), told.over(frames[1:], params)]
        return Sums.together([there_and_back(each, tmp_path) for each in halves])

    shared = find_shared(frames, params, noise_floor, add_up)
    told = there_and_back(shared, tmp_path)
    expected = list(find_shared(frames, params, noise_floor).denoise(frames, noise_floor))
    later = told.denoise(frames[2:], noise_floor, first=False)
    found = [*told.denoise(frames[:2], noise_floor), *later]
    for one, other in zip(found, expected, strict=True):
        scale = float(np.abs(other.image).max())
        np.testing.assert_allclose(one.image, other.image, rtol=1e-5, atol=1e-5 * scale)
        assert one.report.patch_size == other.report.patch_size
        assert len(one.eigenpatches) == len(other.eigenpatches)
