"""Labelled decompositions at both scales of method `two-scale`.

An eigenpatch of the lattice stands for the image that its weighted filter makes of the whitened
image; one of the recovery for what it adds where the image departs from its lattice. Both are
judged in the image, where the noise has its colour again: there the error is seen.
"""

from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from reucid_core.clock import Clock
from reucid_core.eigenpatches import Decomposition, FloatArray
from reucid_core.grids import Frames
from reucid_core.lattice import filter_grids
from reucid_core.noise_floor import noise_floor
from reucid_core.outcome import Outcome, Task
from reucid_core.params import DenoiseParams, ScanNoise
from reucid_core.recovery import departures_from, recover
from reucid_core.scales import find_scales
from reucid_core.training.labels.examples import VERSION, Example, Labels, kept
from reucid_core.training.labels.oracle import Kept, SubsetError, image_oracle
from reucid_core.training.micrographs.recipes import Micrograph, Recipe, micrograph

Scale = Literal["lattice", "recovery"]
LEAST = 1e-6  # so that noise alone has an image to be judged, too
SCALES: tuple[Scale, ...] = ("lattice", "recovery")


@dataclass(frozen=True)
class BothScales:
    """The decompositions of one micrograph by one decision about scan noise, labelled.

    Parameters
    ----------
    lattice : Example
    recovery : Example or None
        None where nothing departs from the lattice.
    """

    lattice: Example
    recovery: Example | None

    def at(self, scale: Scale) -> Example | None:
        """The example of one scale."""
        return self.lattice if scale == "lattice" else self.recovery


def label_both(recipe: Recipe, images: Micrograph, decision: ScanNoise) -> BothScales | None:
    """Denoise with the rule of the noise floor, and label what it judged.

    The decomposition depends on the decision about scan noise, so an example holds the labels of
    one. Returns None where no noise can be measured.
    """
    params = DenoiseParams(
        method="two-scale", patch_size=recipe.patch_size, scan_noise=decision, threads=1
    )
    task, frames = Task(params, noise_floor, None, Clock()), Frames([images.noisy], params)
    scales = find_scales(frames, task)
    if isinstance(scales, Outcome):
        return None
    lattice, details, whitening = scales.lattice, scales.details, scales.whitening
    grids, truth = scales.whitened.take(0), images.truth(decision)

    E, weights = lattice.decomposition.eigenpatches, lattice_weights(lattice.decomposition)
    fused = [
        whitening.colour(filter_grids(grids, E[k : k + 1], weights[k : k + 1], lattice.spacing))
        for k in range(len(E))
    ]
    found = _example(recipe, lattice.decomposition, fused, truth, lattice.verdict.kept)
    first = lattice.filter(grids)
    residual = grids.image - first
    mask = departures_from(first, residual, whitening, details)
    if not mask.any():
        return BothScales(found, None)
    offered, verdict = details.eigenpatches, details.verdict
    added = [
        whitening.colour(_recovered(residual, mask, offered[k : k + 1]))
        for k in range(len(offered))
    ]
    decomposition = Decomposition(
        offered, np.array(verdict.singular_values), verdict.n_patches, verdict.energy, 1.0
    )
    missing = truth - whitening.colour(first)
    return BothScales(found, _example(recipe, decomposition, added, missing, verdict.kept))


def _recovered(residual: FloatArray, mask: NDArray[np.bool_], E: FloatArray) -> FloatArray:
    """What eigenpatches add where the mask is, shape (m, n)."""
    image = np.zeros_like(residual)
    recover(image, residual.copy(), mask, E)
    return image


def lattice_weights(decomposition: Decomposition) -> NDArray[np.float64]:
    """Of all eigenpatches offered, as `reucid_core.lattice` weighs those kept, shape (k,)."""
    variance = decomposition.noise_variance or 1.0
    w = decomposition.singular_values**2 / (decomposition.n_patches * variance)
    return np.asarray(np.maximum(1 - 1 / np.maximum(w, 1e-12), LEAST))


def _example(
    recipe: Recipe,
    decomposition: Decomposition,
    fused: Sequence[FloatArray],
    truth: FloatArray,
    start: Sequence[bool],
) -> Example:
    """Labels by the image oracle, from what the rule keeps."""
    F = np.stack([each.ravel() for each in fused]).astype(np.float64)
    error = SubsetError(
        gram=F @ F.T,
        overlap=F @ truth.ravel(),
        energy=float(np.vdot(truth, truth)),
        n_pixels=truth.size,
        peak=float(np.ptp(truth)),
    )
    rule: Kept = np.array(start, dtype=bool)
    labels = Labels(error, rule, image_oracle(error, rule))
    eigenpatches = decomposition.eigenpatches.astype(np.float32)
    return Example(recipe, replace(decomposition, eigenpatches=eigenpatches), labels, labels)


def label_all(
    recipes: Sequence[Recipe],
    decision: ScanNoise,
    *,
    processes: int = 1,
    progress: Callable[[int, int], None] | None = None,
) -> list[BothScales]:
    """Those of all recipes in which noise can be measured, in their order."""
    examples = []
    with ProcessPoolExecutor(processes) as pool:
        found = pool.map(partial(_on_one_thread, decision=decision), recipes)
        for done, both in enumerate(found, start=1):
            examples.append(both)
            if progress is not None:
                progress(done, len(recipes))
    return [both for both in examples if both is not None]


def kept_scales(
    recipes: Sequence[Recipe],
    decision: ScanNoise,
    folder: Path,
    *,
    processes: int = 1,
    progress: Callable[[int, int], None] | None = None,
) -> list[BothScales]:
    """As `label_all`; from the folder if the same recipes were labelled before."""
    make = partial(label_all, recipes, decision, processes=processes, progress=progress)
    return kept(f"scales {VERSION} {decision} {list(recipes)!r}", folder, make)


def _on_one_thread(recipe: Recipe, *, decision: ScanNoise) -> BothScales | None:
    with threadpool_limits(1):  # sums depend on how many threads share them
        return label_both(recipe, micrograph(recipe), decision)
