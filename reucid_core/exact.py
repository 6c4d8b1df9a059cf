"""The result of Algorithm 1 with one stack, without the patch matrix (engine `exact`).

All patches are decomposed through their Gram matrix, then projected and fused by filters of the
image. Four Fourier transforms of the image are most of the work, and the first two of them find the
point-spread function as well. An image too large for that is transformed in bands of rows.
Everything is float64. Derivation: docs/algorithm.md.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import scipy.fft
from numpy.typing import DTypeLike, NDArray

from reucid_core.clock import Clock
from reucid_core.correlation import close_seams, correlation_of, fast_shape
from reucid_core.eigenpatches import Decomposition, FloatArray
from reucid_core.fir import Spectrum, project_and_fuse
from reucid_core.gram import Edges, gram_matrix
from reucid_core.memory import available_memory
from reucid_core.outcome import Outcome, Progress, Task
from reucid_core.params import MIN_PATCH_SIZE, DenoiseParams
from reucid_core.patches import gather, origin_grid, origins_of
from reucid_core.plan import Plan, lags_needed, plan_exact
from reucid_core.workload import band_height

Float64 = NDArray[np.float64]


@dataclass(frozen=True)
class Transform:
    """An image, and the autocorrelation of its deviation from the mean.

    The mean is set apart because the rounding errors of the Fourier transform of a large offset
    would drown the small eigenvalues. An image whose sides have no fast transform lies in a field
    of zeros that has.
    """

    image: FloatArray  # (m, n)
    mean: float
    correlation: FloatArray  # (lags + 1, at least 2 lags + 1), circular, not normalised
    torus: tuple[int, int]  # (M, N), of the field of zeros
    seeds: FloatArray  # float64, (lags + 1, N), the correlation on that torus
    spectrum: Spectrum | None  # (M, N // 2 + 1), of the deviation, if of fast sides

    @classmethod
    def of(
        cls,
        image: FloatArray,
        *,
        lags: int | None = None,
        height: int | None = None,
        threads: int | None = None,
        precision: DTypeLike = np.float64,
    ) -> "Transform":
        """Transform an image. Cost O(mn log mn).

        Parameters
        ----------
        image : ndarray, shape (m, n), float32 or float64
        lags : int, optional
            Longest lag of the correlation in px; all by default.
        height : int, optional
            Rows of a band; by default the image is transformed as a whole.
        threads : int, optional
            Threads of the FFT.
        precision : numpy.float32 or numpy.float64
            Of the spectrum that is kept for filters; the correlation is in double precision.
        """
        m, n = image.shape
        lags = m - 1 if lags is None else lags
        mean = float(image.mean(dtype=np.float64))
        if height is not None and height < m:
            correlation = _correlation_in_bands(image, mean, lags, height, threads)
            return cls(image, mean, correlation, (m, n), correlation, None)
        deviation = image - np.float64(mean)
        # Where lags are long, the seams that zeros have to be closed at exceed the image.
        torus = fast_shape((m, n)) if 2 * lags < min(m, n) else (m, n)
        spectrum = scipy.fft.rfft2(deviation, s=torus, workers=threads)
        seeds = correlation_of(spectrum, torus[1], lags, threads=threads)
        spectrum = spectrum.astype(np.result_type(precision, np.complex64), copy=False)
        if torus != (m, n):
            closed = close_seams(seeds, deviation, lags, threads=threads)
            return cls(image, mean, closed, torus, seeds, spectrum)
        fast = torus == fast_shape((m, n))
        return cls(image, mean, seeds, torus, seeds, spectrum if fast else None)


@dataclass(frozen=True)
class Prepared:
    """What is decided before any patch is decomposed.

    Parameters
    ----------
    plan : Plan
    height : int
        Rows of a band that fits into the memory.
    transform : Transform
        All that the decomposition needs.
    """

    plan: Plan
    height: int
    transform: Transform


def prepare(image: FloatArray, params: DenoiseParams, clock: Clock) -> Prepared:
    """Transform an image, and find its patch size.

    Parameters
    ----------
    image : ndarray, shape (m, n), float32 or float64
    params : DenoiseParams
    clock : Clock

    Raises
    ------
    ParameterError, MemoryBudgetError
        As `denoise_exact`.
    """
    lags, height = first_look(image.shape, params)
    transform = Transform.of(image, lags=lags, height=height, threads=params.threads)
    clock.lap("transform")
    plan, height = planned(transform.correlation, image.shape, params)
    clock.lap("psf")
    return Prepared(plan, height, transform)


def first_look(shape: tuple[int, ...], params: DenoiseParams) -> tuple[int, int]:
    """Longest lag in px of the autocorrelation that finds the patch size, and rows of a band."""
    lags = lags_needed(shape, params)
    budget = params.memory_budget or available_memory()
    return lags, band_height(shape, params.stated_patch_size or MIN_PATCH_SIZE, lags, budget)


def planned(
    correlation: FloatArray, shape: tuple[int, ...], params: DenoiseParams
) -> tuple[Plan, int]:
    """The plan by the autocorrelation of all images, and rows of a band that fits into the memory.

    Raises
    ------
    ParameterError, MemoryBudgetError
        As `denoise_exact`.
    """
    plan = plan_exact(correlation, shape, params)
    budget = params.memory_budget or available_memory()
    height = band_height(shape, plan.p, 2 * (plan.p - 1), budget)
    return plan, min(first_look(shape, params)[1], height)


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
        When a narrow band of the image, or the Gram matrix of such patches, exceeds the memory.
    """
    clock, params = task.clock, task.params
    prepared = prepare(noisy, params, clock)
    plan, transform = prepared.plan, prepared.transform
    decomposition = decompose_all(transform, plan.p, plan.components)
    clock.lap("decompose")
    verdict = task.judge(decomposition, stack=1)
    clock.lap("classify")
    useful = decomposition.eigenpatches[verdict.kept]
    image = reconstruct(transform, useful, height=prepared.height, threads=params.threads)
    clock.lap("fuse")
    if task.on_stack is not None:
        shown = image.view()
        shown.flags.writeable = False
        task.on_stack(Progress(1, 1, shown, None, verdict))
    clock.lap("interim")
    return Outcome(plan, image, None, [decomposition.eigenpatches], [verdict])


def decompose_all(transform: Transform, p: int, components: int) -> Decomposition:
    """Leading eigenpatches of all patches.

    Parameters
    ----------
    transform : Transform
        With lags up to p - 1.
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
    return Decomposition.of_gram_matrix(
        gram_of_patches(transform, p), components, n_patches=rows * columns
    )


def gram_of_patches(transform: Transform, p: int) -> Float64:
    """Gram matrix of all patches, shape (p*p, p*p), from that of the image less its mean."""
    image, mean = transform.image, transform.mean
    rows, columns = origin_grid(image.shape, p)
    n_patches = rows * columns
    if n_patches <= p * p:  # hardly anything but border
        origins = origins_of(np.ones((rows, columns), dtype=bool), image.shape[1])
        patches = gather(image.astype(np.float64), origins, p)
        return np.asarray(patches.T @ patches)
    edges = Edges.of(image, p - 1, offset=mean)
    G = gram_matrix(edges, transform.seeds, p, torus=transform.torus)
    sums = edges.window_sums().ravel()  # of each pixel over all patches, (p*p,)
    G += mean * sums  # in place: no second matrix beside it
    G += (mean * sums + n_patches * mean**2)[:, None]
    return G


@dataclass(frozen=True)
class Sums:
    """What adds up over images.

    Parameters
    ----------
    arrays : list of ndarray, float64
        Gram matrices, shape (p*p, p*p), or autocorrelations.
    numbers : list of int
        Patches that each Gram matrix is of.
    """

    arrays: list[Float64]
    numbers: list[int]

    @classmethod
    def together(cls, parts: Sequence["Sums"]) -> "Sums":
        """Those of all images, from those of some each, in this order."""
        arrays = zip(*(part.arrays for part in parts), strict=True)
        numbers = zip(*(part.numbers for part in parts), strict=True)
        return cls(
            [sum(each[1:], start=each[0]) for each in arrays], [sum(each) for each in numbers]
        )


def grams_of(transforms: Iterable[Transform], sizes: Sequence[int]) -> Sums:
    """Gram matrices of all patches of several images, in one pass over them.

    Parameters
    ----------
    transforms : iterable of Transform
        At least one; each is used once and may then be forgotten.
    sizes : sequence of int
        Patch sizes in px, a matrix for each.
    """
    matrices = [np.zeros((p * p, p * p)) for p in sizes]
    numbers = [0] * len(sizes)
    for transform in transforms:
        for k, p in enumerate(sizes):
            matrices[k] += gram_of_patches(transform, p)
            rows, columns = origin_grid(transform.image.shape, p)
            numbers[k] += rows * columns
        del transform  # before the next takes its place
    return Sums(matrices, numbers)


def reconstruct(
    transform: Transform,
    useful: FloatArray,
    *,
    height: int | None = None,
    threads: int | None = None,
    precision: DTypeLike = np.float64,
) -> FloatArray:
    """All patches truncated to the useful eigenpatches, fused and divided by the terrain.

    Parameters
    ----------
    transform : Transform
    useful : ndarray, shape (k, p, p)
    height : int, optional
        Rows of a band; by default the image is filtered as a whole.
    threads : int, optional
    precision : numpy.float32 or numpy.float64
        Of the filter; in single precision the result is good to 1e-6 of the largest intensity.

    Returns
    -------
    ndarray, shape (m, n), in the type of the image
    """
    whole = height is None or height >= len(transform.image)
    return project_and_fuse(
        transform.image,
        useful.astype(precision, copy=False),
        spectrum=transform.spectrum if whole else None,
        offset=transform.mean,
        height=height,
        threads=threads,
    )


def _correlation_in_bands(
    image: FloatArray, mean: float, lags: int, height: int, threads: int | None
) -> Float64:
    """The circular autocorrelation at lags 0 to `lags` along the rows, shape (lags + 1, n).

    The correlation of each band with itself and the rows that follow it, round the torus, summed.
    """
    n = image.shape[1]
    shape = (scipy.fft.next_fast_len(height + lags), n)
    power = np.zeros((shape[0], n // 2 + 1), dtype=np.complex128)
    for band, reach in _bands(image, mean, height, lags):
        spectrum = scipy.fft.rfft2(band, s=shape, workers=threads)  # rows of zeros follow
        np.conj(spectrum, out=spectrum)
        spectrum *= scipy.fft.rfft2(reach, s=shape, workers=threads)
        power += spectrum
        del band, reach, spectrum  # before the next take their place
    correlation: Float64 = scipy.fft.irfft2(power, s=shape, workers=threads, overwrite_x=True)
    return correlation[: lags + 1].copy()


def _bands(
    image: FloatArray, mean: float, height: int, lags: int
) -> Iterator[tuple[Float64, Float64]]:
    """Each band of rows, and the same with `lags` more, less the mean."""
    m = len(image)
    for start in range(0, m, height):
        stop = min(start + height, m)
        rows = np.arange(start, stop + lags) % m
        reach = image[rows].astype(np.float64)
        reach -= mean
        yield reach[: stop - start], reach
        del reach
