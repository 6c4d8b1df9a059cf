"""A result made once more from its eigenpatches: no decomposition, no classifier.

Given the eigenpatches, the result is a linear filter of the image. So whoever has the image, the
report and the eigenpatches can see for himself that nothing else is in it.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from reucid_core.eigenpatches import FloatArray
from reucid_core.fir import project_and_fuse
from reucid_core.image import as_working_image
from reucid_core.lattice import energy_of
from reucid_core.memory import available_memory
from reucid_core.outliers import put_back, without
from reucid_core.report import Report
from reucid_core.stacked import prepare
from reucid_core.terrain import full_terrain, terrain
from reucid_core.threads import limited
from reucid_core.two_scale import replay_two_scale
from reucid_core.workload import band_height

__all__ = ["patch_energy", "replay"]


def replay(
    image: NDArray[Any],
    report: Report,
    eigenpatches: Sequence[FloatArray],
    *,
    threads: int | None = None,
    memory: int | None = None,
) -> tuple[FloatArray, NDArray[np.int32]]:
    """Apply the kept eigenpatches to the image, as the report says they were.

    Parameters
    ----------
    image : ndarray, shape (m, n), integer or floating
        Never modified.
    report : Report
        Its engine, precision, patch size, stacks, seed and verdicts are used.
    eigenpatches : sequence of ndarray, shape (k, p, p)
        All offered eigenpatches of each processed stack, orthonormal.
    threads : int, optional
    memory : int, optional
        Bytes that may be used; by default what the machine leaves free.

    Returns
    -------
    image : ndarray, shape (m, n), float32 or float64
    coverage : ndarray, shape (m, n), int32

    Raises
    ------
    ImageError
        When the image cannot be denoised in the report's precision.
    """
    noisy = as_working_image(image, report.precision)  # type: ignore[arg-type]
    if report.method == "two-scale":
        return _replay_two_scale(noisy, report, eigenpatches, threads, memory)
    useful = [
        offered[np.array(verdict.kept, dtype=bool)]
        for offered, verdict in zip(eigenpatches, report.stack_reports, strict=True)
    ]
    p, shape = report.patch_size, (noisy.shape[0], noisy.shape[1])
    with limited(threads):
        if report.engine == "exact":
            E = useful[0].astype(np.float64)
            height = band_height(shape, p, 2 * (p - 1), memory or available_memory())
            filtered = project_and_fuse(noisy, E, height=height, threads=threads)
            return filtered, full_terrain(shape, p)
        canvas, _ = prepare(noisy, p, report.stacks, report.seed)
        for stack, kept in enumerate(useful, start=1):
            canvas.fuse_stack(stack, kept)
        coverage = canvas.coverage()
        return canvas.image(coverage), coverage


def _replay_two_scale(
    noisy: FloatArray,
    report: Report,
    eigenpatches: Sequence[FloatArray],
    threads: int | None,
    memory: int | None,
) -> tuple[FloatArray, NDArray[np.int32]]:
    coverage = full_terrain(report.shape, report.patch_size, report.spacing)
    noise, recovery, outliers = report.noise, report.recovery, report.outliers
    if outliers is None:  # nothing was done
        return noisy.copy(), coverage
    measured = without(noisy, outliers)
    if noise is None or noise.kind == "none":  # no noise could be told
        image = measured.copy()
    else:
        lattice = eigenpatches[0], np.array(report.weights), report.spacing
        recovered = None
        if recovery is not None:
            kept = np.array(recovery.stack_report.kept, dtype=bool)
            recovered = eigenpatches[1][kept], recovery.runs
        with limited(threads):
            image = replay_two_scale(measured, noise, lattice, recovered, threads, memory)
    put_back(image, noisy, outliers)
    return image, coverage


def patch_energy(image: NDArray[Any], report: Report) -> list[float]:
    """Squared Frobenius norm of the patch matrix of each processed stack, as `Decomposition` has.

    Parameters
    ----------
    image : ndarray, shape (m, n)
    report : Report
    """
    noisy = as_working_image(image, report.precision)  # type: ignore[arg-type]
    if report.method == "two-scale":
        measured = noisy if report.outliers is None else without(noisy, report.outliers)
        return [energy_of(measured, report.noise, report.patch_size, report.spacing)]
    squares = noisy.astype(np.float64) ** 2
    p, shape = report.patch_size, (noisy.shape[0], noisy.shape[1])
    if report.engine == "exact":
        return [float(np.vdot(squares, full_terrain(shape, p)))]
    canvas, _ = prepare(noisy, p, report.stacks, report.seed)
    members = np.zeros((shape[0] - p + 1, shape[1] - p + 1), dtype=bool)
    energies = []
    for stack in range(1, report.stacks_done + 1):
        origins = canvas.origins(stack)
        members[:] = False
        members[np.divmod(origins, shape[1])] = True
        energies.append(float(np.vdot(squares, terrain(members, p))))
    return energies
