"""Method `two-scale`: the lattice in large patches, what departs from it in small ones.

Everything happens in the whitened image, where the noise of every pixel is independent and of
variance 1; the last step colours it again. Derivation: docs/algorithm.md.
"""

import math
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from reucid_core.assessment import Assessment, structure_in
from reucid_core.departures import mask_of
from reucid_core.eigenpatches import FloatArray
from reucid_core.errors import MemoryBudgetError
from reucid_core.exact import Transform
from reucid_core.lattice import Lattice, choose_lattice, filter_lattice, standing_out
from reucid_core.memory import available_memory
from reucid_core.noise import NoiseModel, estimate_noise
from reucid_core.outcome import Outcome, Progress, Task
from reucid_core.plan import Plan
from reucid_core.psf import find_patch_size
from reucid_core.recovery import fused_at, recover
from reucid_core.whitening import Whitening
from reucid_core.workload import MIB

Float64 = NDArray[np.float64]

PIXEL = 96  # bytes of working memory for each pixel (measured: 63 to 93 from 512 x 512 px on)
FIXED = 64 * MIB  # Gram matrix and eigenpatches of the largest patches


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
        When the image exceeds the memory: it is not worked on in bands.
    """
    clock, params = task.clock, task.params
    threads = params.threads
    _check_memory(noisy.shape, params.memory_budget or available_memory())
    noise = estimate_noise([noisy], params.scan_axis, params.scan_noise_decision)
    clock.lap("noise")
    if noise.kind == "none":
        return replace(_unchanged(noisy, task), noise=noise)
    whitening = Whitening.of(noise, threads=threads)
    whitened = whitening.whiten(noisy)
    clock.lap("whiten")
    lattice, patch_size, first = choose_lattice(noisy, whitened, task)
    clock.lap("lattice")
    recovered, recovery, offered, shown = recover(
        whitened, first, whitening, patch_size.radius, task
    )
    clock.lap("departures")
    second = first + recovered
    image = whitening.colour(second)
    if task.on_stack is not None:
        view = image.view()
        view.flags.writeable = False
        task.on_stack(Progress(1, 1, view, None, lattice.verdict))
    clock.lap("interim")
    left = lattice.passed + recovery.share * shown * (1 - lattice.passed)
    assessment = _assess(noise, lattice, left, whitened - second)
    clock.lap("assess")
    plan = Plan(patch_size, 1, "engine", len(lattice.weights))
    return Outcome(
        plan,
        image,
        None,
        [lattice.decomposition.eigenpatches, offered],
        [lattice.verdict],
        noise=noise,
        spacing=lattice.spacing,
        weights=lattice.weights.tolist(),
        recovery=recovery,
        assessment=assessment,
    )


def _check_memory(shape: tuple[int, ...], budget: int) -> None:
    need = FIXED + PIXEL * math.prod(shape)
    if need > budget:
        raise MemoryBudgetError(
            f"method two-scale needs {need // MIB} MiB for {shape[0]} x {shape[1]} px, "
            f"{budget // MIB} MiB may be used: use method paper, which works in bands, or crop"
        )


def replay_two_scale(
    noisy: FloatArray,
    noise: NoiseModel,
    lattice: tuple[FloatArray, Float64, int],
    recovery: tuple[FloatArray, list[int]],
    threads: int | None,
) -> FloatArray:
    """The same image from what was kept: no decomposition, no test.

    Parameters
    ----------
    noisy : ndarray, shape (m, n)
    noise : NoiseModel
        Not of kind `none`.
    lattice : (ndarray, ndarray, int)
        Eigenpatches, their weights and the spacing.
    recovery : (ndarray, list of int)
        Kept eigenpatches of the residual, and the runs of the map of departures.
    threads : int or None
    """
    whitening = Whitening.of(noise, threads=threads)
    whitened = whitening.whiten(noisy)
    first = filter_lattice(whitened, *lattice, threads)
    E, runs = recovery
    mask = mask_of(runs, (noisy.shape[0], noisy.shape[1]))
    return whitening.colour(first + fused_at(whitened - first, mask, E))


def _assess(noise: NoiseModel, lattice: Lattice, left: float, residual: FloatArray) -> Assessment:
    height, bound = structure_in(residual)
    share = max(lattice.passed_of(noise), np.finfo(np.float64).tiny)
    rest = left - lattice.passed  # what recovery lets through is of every colour
    return Assessment(
        noise_removed=1 - left,
        gain=float(-10 * np.log10(share + rest)),
        structure=height,
        bound=bound,
    )


def _unchanged(noisy: FloatArray, task: Task) -> Outcome:
    """The image itself, where no noise can be told."""
    size = find_patch_size(noisy, threads=task.params.threads)
    transform = Transform.of(noisy, lags=size.size - 1, threads=task.params.threads)
    whole = standing_out([transform], size.size, 0.0)
    first = replace(
        whole, eigenpatches=whole.eigenpatches[:1], singular_values=whole.singular_values[:1]
    )
    verdict = task.judge(first, stack=1)
    return Outcome(Plan(size, 1, "engine", 1), noisy.copy(), None, [first.eigenpatches], [verdict])
