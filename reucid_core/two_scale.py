"""Method `two-scale`: the lattice in large patches, what departs from it in small ones.

Everything happens in the whitened image, where the noise of every pixel is independent and of
variance 1; the last step colours it again. Derivation: docs/algorithm.md.
"""

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from reucid_core.assessment import Assessment, Look
from reucid_core.correlation import fast_middle
from reucid_core.departures import mask_of, runs_of
from reucid_core.eigenpatches import FloatArray
from reucid_core.grids import Frames, Grids, tiles
from reucid_core.lattice import Lattice, filter_grids
from reucid_core.memory import available_memory
from reucid_core.noise import NoiseModel
from reucid_core.outcome import Outcome, Progress, Task
from reucid_core.outliers import put_back
from reucid_core.recovery import departures_from, recover
from reucid_core.report import RecoveryReport, StackReport, StoppedBy
from reucid_core.scales import Scales, band_height, find_scales
from reucid_core.terrain import full_terrain
from reucid_core.whitening import Whitening

Float64 = NDArray[np.float64]

SCALES = 2
LOOKED_AT = 1024  # px, side of the parts of a large residual in which structure is looked for


def denoise_two_scale(noisy: FloatArray, task: Task) -> Outcome:
    """Denoise an image whose noise is measured in it.

    Parameters
    ----------
    noisy : ndarray, shape (m, n), float32 or float64
    task : Task

    Raises
    ------
    ParameterError
        When a stated value does not fit the image.
    MemoryBudgetError
        When a narrow band of the image exceeds the memory.
    """
    frames = Frames([noisy], task.params)
    return denoise_frame(frames, 0, find_scales(frames, task), task)


def denoise_frame(
    frames: Frames,
    number: int,
    scales: Scales | Outcome,
    task: Task,
    *,
    assessed: bool = True,
) -> Outcome:
    """Denoise a frame by what was found in all.

    Parameters
    ----------
    frames : Frames
    number : int
        From 0.
    scales : Scales or Outcome
        From `reucid_core.scales.find_scales`.
    task : Task
    assessed : bool
        Whether the outcome has an assessment, which takes a tenth of the time.
    """
    clock, outliers = task.clock, frames.outliers(number)
    if isinstance(scales, Outcome):  # no noise can be told
        unchanged = frames[number].copy()
        put_back(unchanged, frames.raw(number), outliers)
        _show(2, unchanged, scales.verdicts[0], task)
        return replace(scales, image=unchanged, outliers=outliers)
    lattice, details = scales.lattice, scales.details
    grids = scales.whitened.take(number)
    clock.lap("whiten")
    image = lattice.filter(grids)
    residual = np.subtract(grids.image, image, out=grids.image)
    del grids
    clock.lap("lattice")
    stopped_by = _stopped(image, frames, number, scales, task)
    clock.lap("interim")
    recovery = None
    if stopped_by is None:
        mask = departures_from(image, residual, scales.whitening, details, scales.height)
        recover(image, residual, mask, details.useful, scales.height)
        share = np.count_nonzero(mask) / mask.size
        recovery = RecoveryReport(details.patch_size, details.verdict, share, runs_of(mask))
    clock.lap("departures")
    assessment = None
    if assessed:
        # What recovery lets through is of every colour.
        recovered = recovery.share * details.passed * (1 - lattice.passed) if recovery else 0.0
        assessment = assess(image, residual, lattice, scales.noise, recovered)
    del residual
    clock.lap("assess")
    image = scales.whitening.colour(image, out=image)
    put_back(image, frames.raw(number), outliers)
    clock.lap("colour")
    if recovery is not None:
        _show(2, image, details.verdict, task)
    clock.lap("interim")
    eigenpatches = [lattice.decomposition.eigenpatches]
    return Outcome(
        scales.plan,
        image,
        None if recovery else full_terrain(image.shape, lattice.patch_size, lattice.spacing),
        eigenpatches if recovery is None else [*eigenpatches, details.eigenpatches],
        [lattice.verdict],
        stopped_by,
        noise=scales.noise,
        spacing=lattice.spacing,
        weights=lattice.weights.tolist(),
        recovery=recovery,
        assessment=assessment,
        outliers=outliers,
    )


def replay_two_scale(
    noisy: FloatArray,
    noise: NoiseModel,
    lattice: tuple[FloatArray, Float64, int],
    recovery: tuple[FloatArray, list[int]] | None,
    threads: int | None,
    memory: int | None = None,
) -> FloatArray:
    """The same image from what was kept: no decomposition, no test.

    Parameters
    ----------
    noisy : ndarray, shape (m, n)
        Without its outliers.
    noise : NoiseModel
        Not of kind `none`.
    lattice : (ndarray, ndarray, int)
        Eigenpatches, their weights and the spacing.
    recovery : (ndarray, list of int) or None
        Kept eigenpatches of the residual, and the runs of the map of departures.
    threads : int or None
    memory : int, optional
        Bytes that may be used; by default what the machine leaves free.
    """
    whitening = Whitening.of(noise, threads=threads)
    E, weights, spacing = lattice
    height = band_height(noisy.shape, noisy.itemsize, memory or available_memory())
    whitened = whitening.whiten(noisy)
    grids = Grids(whitened, lags=(0, 0), height=height, threads=threads)
    image = filter_grids(grids, E, weights, spacing)
    residual = np.subtract(whitened, image, out=whitened)
    del grids
    if recovery is not None:
        useful, runs = recovery
        recover(image, residual, mask_of(runs, (noisy.shape[0], noisy.shape[1])), useful, height)
    return whitening.colour(image, out=image)


def _stopped(
    image: FloatArray, frames: Frames, number: int, scales: Scales, task: Task
) -> StoppedBy | None:
    """Show the lattice; say who wants nothing further."""
    stopped_by: StoppedBy | None = None
    deadline = task.params.deadline
    if deadline is not None and task.clock.elapsed >= deadline:
        stopped_by = "deadline"
    if task.on_stack is not None and scales.height is None:  # in bands there is no room for it
        interim = scales.whitening.colour(image)
        put_back(interim, frames.raw(number), frames.outliers(number))
        if _show(1, interim, scales.lattice.verdict, task) is False:
            stopped_by = "request"
    return stopped_by


def _show(scale: int, image: FloatArray, verdict: StackReport, task: Task) -> bool | None:
    if task.on_stack is None:
        return None
    view = image.view()
    view.flags.writeable = False
    return task.on_stack(Progress(scale, SCALES, view, None, verdict, "scales"))


def assess(
    image: FloatArray,
    residual: FloatArray,
    lattice: Lattice,
    noise: NoiseModel,
    recovered: float,
) -> Assessment:
    """What is left of the noise, and of structure in the residual; of a large one, in parts.

    Image and residual are whitened; `recovered` is the share of the noise that recovery lets
    through beside the lattice.
    """
    share = max(lattice.passed_of(noise), np.finfo(np.float64).tiny)
    whole = residual.size <= LOOKED_AT**2
    parts = [fast_middle(residual.shape)] if whole else tiles(residual.shape, LOOKED_AT)
    look = Look.together([Look.at(image[part], residual[part]) for part in parts])
    return Assessment(
        noise_removed=1 - lattice.passed - recovered,
        gain=float(-10 * np.log10(share + recovered)),
        structure=look.structure,
        bound=look.bound,
        finest=look.finest,
        finest_kept=look.finest_kept,
    )
