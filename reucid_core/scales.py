"""What frames of one specimen share at two scales: noise, lattice, and how the probe draws details.

A single image is one frame.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from numpy.typing import NDArray

from reucid_core.correlation import fast_middle
from reucid_core.eigenpatches import FloatArray
from reucid_core.errors import MemoryBudgetError
from reucid_core.exact import Sums, Transform, grams_of
from reucid_core.grids import SAMPLE, TILE, Frames, WhitenedFrames
from reucid_core.lattice import Lattice, find_lattice, lags_needed, standing_out
from reucid_core.memory import available_memory
from reucid_core.noise import NoiseModel, estimate_noise
from reucid_core.outcome import Outcome, Task
from reucid_core.params import DenoiseParams
from reucid_core.plan import Plan
from reucid_core.psf import PatchSize, check_patch_size, find_patch_size
from reucid_core.recovery import Details, find_details
from reucid_core.whitening import Whitening
from reucid_core.workload import MIB

AddUp = Callable[["WhitenedGrams"], Sums]

NOISE = 2**23  # pixels of several frames in which their noise is measured
FIXED = 64 * MIB  # Gram matrix and eigenpatches of the largest patches
SAMPLES = 128 * MIB  # what is measured in parts of large images
DOUBLES, NUMBERS = 44, 8  # bytes, and numbers of the image's type, for each pixel (measured)
LEAST_ROWS, MARGIN = 64, 48  # of a band, and beside it


@dataclass(frozen=True)
class Scales:
    """What is found in all frames together.

    Parameters
    ----------
    noise : NoiseModel
    whitening : Whitening
    whitened : WhitenedFrames
    lattice : Lattice
    details : Details
    plan : Plan
    height : int or None
        Rows of a band, where a frame is worked on in bands.
    lags : (int, int)
        As in `reucid_core.grids.Grids`.
    """

    noise: NoiseModel
    whitening: Whitening
    whitened: WhitenedFrames
    lattice: Lattice
    details: Details
    plan: Plan
    height: int | None
    lags: tuple[int, int]


@dataclass(frozen=True)
class WhitenedGrams:
    """What is to be added up over whitened frames: Gram matrices of all their patches.

    Parameters
    ----------
    noise : NoiseModel
        That is whitened.
    lags : (int, int)
    height : int or None
        As in `reucid_core.grids.Grids`.
    spacing : {1, 2}
    sizes : tuple of int
        Patch sizes in px.
    """

    noise: NoiseModel
    lags: tuple[int, int]
    height: int | None
    spacing: int
    sizes: tuple[int, ...]

    def over(self, frames: Sequence[NDArray[Any]] | NDArray[Any], params: DenoiseParams) -> Sums:
        """The sums over some frames, shape (frames, m, n)."""
        whitening = Whitening.of(self.noise, threads=params.threads)
        whitened = WhitenedFrames(
            Frames(frames, params), whitening, lags=self.lags, height=self.height
        )
        return whitened.grams(self.spacing, self.sizes)


def find_scales(frames: Frames, task: Task, add_up: AddUp | None = None) -> Scales | Outcome:
    """Measure the noise, find the lattice in the whitened frames, and decompose their details.

    Parameters
    ----------
    frames : Frames
    task : Task
    add_up : callable, optional
        Adds up Gram matrices over all frames in another way than here.

    Returns
    -------
    Scales or Outcome
        The latter where no noise can be told: that of the first frame as it is.

    Raises
    ------
    ParameterError
        When a stated value does not fit the frames.
    MemoryBudgetError
        When a narrow band of a frame exceeds the memory.
    """
    clock, params = task.clock, task.params
    budget = params.memory_budget or available_memory()
    height = band_height(frames.shape, frames.raw(0).itemsize, budget)
    sampled = [frames[number] for number in frames.spread(NOISE)]
    clock.lap("outliers")
    noise = estimate_noise(sampled, params.scan_axis, params.scan_noise_decision)
    clock.lap("noise")
    psf = _probe(sampled[len(sampled) // 2], task)
    del sampled
    clock.lap("psf")
    if noise.kind == "none":
        return _as_it_is(frames, noise, psf, task)
    whitening = Whitening.of(noise, threads=params.threads)
    lags = lags_needed(psf.size)
    whitened = WhitenedFrames(frames, whitening, lags=lags, height=height)

    def grams(spacing: int, sizes: Sequence[int]) -> Sums:
        if add_up is None:
            return whitened.grams(spacing, sizes)
        return add_up(WhitenedGrams(noise, lags, height, spacing, tuple(sizes)))

    lattice, patch_size = find_lattice(whitened, psf, task, grams)
    clock.lap("lattice")
    details = find_details(grams, min(frames.shape), psf.radius, task)
    clock.lap("details")
    plan = Plan(patch_size, 1, "engine", len(lattice.weights))
    return Scales(noise, whitening, whitened, lattice, details, plan, height, lags)


def band_height(shape: tuple[int, ...], itemsize: int, budget: int) -> int | None:
    """Rows of an image that are worked on at a time, beside what is held; None if all fit.

    Parameters
    ----------
    shape : (int, int)
        (m, n).
    itemsize : int
        Bytes of a number.
    budget : int
        Bytes that may be used beside the image and the result.

    Raises
    ------
    MemoryBudgetError
        When not even a band of `LEAST_ROWS` fits.
    """
    m, n = shape
    each_row = (DOUBLES + NUMBERS * itemsize) * n
    if FIXED + each_row * m <= budget:
        return None
    held = FIXED + SAMPLES + (itemsize + 1) * m * n  # whitened, and the map of departures
    rows = (budget - held) // each_row - 2 * MARGIN
    if rows < min(m, LEAST_ROWS):
        need = held + each_row * (LEAST_ROWS + 2 * MARGIN)
        raise MemoryBudgetError(
            f"method two-scale needs {need // MIB} MiB for {m} x {n} px, {budget // MIB} MiB may "
            "be used: raise the memory budget, crop the image, or use method paper"
        )
    return rows


def _probe(image: FloatArray, task: Task) -> PatchSize:
    """The patch size that is stated, else that of the probe; of a large image, in its middle."""
    if (stated := task.params.stated_patch_size) is not None:
        return check_patch_size(stated, image.shape)
    if image.size > SAMPLE:
        middle = [slice((side - 2 * TILE) // 2, (side + 2 * TILE) // 2) for side in image.shape]
        image = image[tuple(slice(max(0, part.start), part.stop) for part in middle)]
    middle_of_it = image[fast_middle(image.shape)]
    return find_patch_size(middle_of_it, threads=task.params.threads)


def _as_it_is(frames: Frames, noise: NoiseModel, size: PatchSize, task: Task) -> Outcome:
    """The first frame itself, with the first eigenpatch of all."""
    images = (frames[number] for number in range(len(frames)))
    transforms = (
        Transform.of(image, lags=size.size - 1, threads=task.params.threads) for image in images
    )
    (whole,) = standing_out(grams_of(transforms, [size.size]), 0.0)
    first = replace(
        whole, eigenpatches=whole.eigenpatches[:1], singular_values=whole.singular_values[:1]
    )
    verdict = task.judge(first, stack=1)
    plan = Plan(size, 1, "engine", 1)
    return Outcome(plan, frames[0], None, [first.eigenpatches], [verdict], noise=noise)
