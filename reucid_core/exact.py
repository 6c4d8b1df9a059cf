"""The result of Algorithm 1 with one stack, without the patch matrix (engine `exact`).

All patches are decomposed through their Gram matrix, then projected and fused by filters of the
image. Four Fourier transforms of the image are most of the work, and the first two of them find the
point-spread function as well. Everything is float64. Derivation: docs/algorithm.md.
"""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import scipy.fft
import scipy.linalg
from numpy.typing import NDArray

from reucid_core.eigenpatches import Decomposition, FloatArray
from reucid_core.fir import project_and_fuse
from reucid_core.gram import gram_matrix
from reucid_core.memory import available_memory
from reucid_core.outcome import Outcome, Progress, Task
from reucid_core.params import MIN_PATCH_SIZE
from reucid_core.patches import gather, origin_grid, origins_of
from reucid_core.plan import plan_exact
from reucid_core.terrain import full_terrain
from reucid_core.workload import check_exact_memory

Float64 = NDArray[np.float64]


@dataclass(frozen=True)
class Transform:
    """An image, its spectrum, and the autocorrelation of its deviation from the mean.

    The mean is set apart because the rounding errors of the Fourier transform of a large offset
    would drown the small eigenvalues.
    """

    image: Float64  # (m, n)
    mean: float
    spectrum: NDArray[np.complex128]  # (m, n // 2 + 1)
    correlation: Float64  # (m, n), circular, not normalised

    @classmethod
    def of(cls, image: FloatArray, *, threads: int | None = None) -> "Transform":
        """Transform an image, shape (m, n). Cost O(mn log mn)."""
        exact = image.astype(np.float64)
        mean = float(exact.mean())
        spectrum = scipy.fft.rfft2(exact - mean, workers=threads)
        power = spectrum.real**2 + spectrum.imag**2
        correlation = scipy.fft.irfft2(power, s=image.shape, workers=threads)
        spectrum[0, 0] = mean * image.size
        return cls(exact, mean, spectrum, correlation)


def denoise_exact(noisy: FloatArray, task: Task) -> Outcome:
    """Denoise an image by the eigenpatches of all its patches.

    Parameters
    ----------
    noisy : ndarray, shape (m, n), float32 or float64
    task : Task

    Raises
    ------
    ParameterError
        When a stated value does not fit the image.
    MemoryBudgetError
        When the image, or the Gram matrix of such patches, does not fit into the memory.
    """
    clock, params = task.clock, task.params
    budget = params.memory_budget or available_memory()
    shape = (noisy.shape[0], noisy.shape[1])
    check_exact_memory(shape, params.patch_size or MIN_PATCH_SIZE, budget)
    transform = Transform.of(noisy, threads=params.threads)
    clock.lap("transform")
    plan = plan_exact(transform.correlation, params)
    clock.lap("psf")
    check_exact_memory(shape, plan.p, budget)
    decomposition = decompose_all(transform, plan.p, plan.components)
    clock.lap("decompose")
    verdict = task.judge(decomposition, stack=1)
    clock.lap("classify")
    image, coverage = reconstruct(
        transform, decomposition.eigenpatches[verdict.kept], threads=params.threads
    )
    clock.lap("fuse")
    image = image.astype(noisy.dtype, copy=False)
    if task.on_stack is not None:
        task.on_stack(Progress(1, 1, image.copy(), coverage.copy(), verdict))
    clock.lap("interim")
    return Outcome(plan, image, coverage, [decomposition.eigenpatches], [verdict])


def decompose_all(transform: Transform, p: int, components: int) -> Decomposition:
    """Leading eigenpatches of all patches.

    Parameters
    ----------
    transform : Transform
    p : int
        Patch size in px.
    components : int
        Eigenpatches wanted; at most the number of patches and of pixels in one are found.

    Returns
    -------
    Decomposition
        float64. Cost O(p^3 (m + n) + p^6).
    """
    rows, columns = origin_grid(transform.image.shape, p)
    G = _gram(transform, p)
    eigenvalues, vectors = _leading(G, min(components, rows * columns, p * p))
    return Decomposition(
        eigenpatches=np.ascontiguousarray(vectors.T).reshape(-1, p, p),
        singular_values=np.sqrt(np.maximum(eigenvalues, 0.0)),
        n_patches=rows * columns,
        energy=float(np.trace(G)),
    )


def decompose_frames(transforms: Iterable[Transform], p: int, components: int) -> Decomposition:
    """Leading eigenpatches of all patches of several images: their Gram matrices add up.

    Parameters
    ----------
    transforms : iterable of Transform
        At least one; each is used once and may then be forgotten.
    p : int
        Patch size in px.
    components : int

    Returns
    -------
    Decomposition
        float64; of one image, that of `decompose_all`.
    """
    G = np.zeros((p * p, p * p))
    n_patches = 0
    for transform in transforms:
        G += _gram(transform, p)
        rows, columns = origin_grid(transform.image.shape, p)
        n_patches += rows * columns
    eigenvalues, vectors = _leading(G, min(components, n_patches, p * p))
    return Decomposition(
        eigenpatches=np.ascontiguousarray(vectors.T).reshape(-1, p, p),
        singular_values=np.sqrt(np.maximum(eigenvalues, 0.0)),
        n_patches=n_patches,
        energy=float(np.trace(G)),
    )


def reconstruct(
    transform: Transform, useful: FloatArray, *, threads: int | None = None
) -> tuple[Float64, NDArray[np.int32]]:
    """All patches truncated to the useful eigenpatches, fused and divided by the terrain.

    Parameters
    ----------
    transform : Transform
    useful : ndarray, shape (k, p, p)
    threads : int, optional

    Returns
    -------
    image : ndarray, shape (m, n), float64
    terrain : ndarray, shape (m, n), int32
    """
    p = useful.shape[-1]
    E = useful.astype(np.float64, copy=False)
    canvas = project_and_fuse(transform.image, transform.spectrum, E, threads=threads)
    terrain = full_terrain((canvas.shape[0], canvas.shape[1]), p)
    canvas /= terrain
    return canvas, terrain


def _gram(transform: Transform, p: int) -> Float64:
    """Gram matrix of the patches of the image, from that of the mean-subtracted one."""
    image, mean = transform.image, transform.mean
    rows, columns = origin_grid(image.shape, p)
    n_patches = rows * columns
    if n_patches <= p * p:  # hardly anything but border
        origins = origins_of(np.ones((rows, columns), dtype=bool), image.shape[1])
        patches = gather(image, origins, p)
        return np.asarray(patches.T @ patches)
    centred = image - mean
    G = gram_matrix(centred, transform.correlation, p)
    # The mean times each pixel of a patch, summed over all patches.
    sums = _window_sums(_window_sums(centred, rows).T, columns).T.ravel()  # (p*p,)
    G += mean * (sums[:, None] + sums) + n_patches * mean**2
    return G


def _leading(G: Float64, k: int) -> tuple[Float64, Float64]:
    """The k largest eigenvalues, descending, and their eigenvectors as columns.

    LAPACK's, for every order: among the nearly equal eigenvalues of noise, iterating converges too
    slowly to be faster (measured: Lanczos takes 3 times as long at p = 41 to 63).
    """
    n = len(G)
    values, vectors = scipy.linalg.eigh(G, subset_by_index=[n - k, n - 1], check_finite=False)
    return values[::-1], vectors[:, ::-1]


def _window_sums(values: Float64, length: int) -> Float64:
    """Sums over all windows of so many rows."""
    running = np.cumsum(np.pad(values, ((1, 0), (0, 0))), axis=0)
    return running[length:] - running[:-length]
