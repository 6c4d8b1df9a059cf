"""Method `two-scale`: the lattice in large patches, what departs from it in small ones.

Everything happens in the whitened image, where the noise of every pixel is independent and of
variance 1; the last step colours it again. Derivation: docs/algorithm.md.
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass, replace

import numpy as np
import scipy.fft
from numpy.typing import NDArray

from reucid_core.assessment import Assessment, structure_in
from reucid_core.departures import find_departures, local_variance, mask_of, runs_of
from reucid_core.eigenpatches import Decomposition, FloatArray
from reucid_core.errors import MemoryBudgetError
from reucid_core.exact import Transform, gram_of_patches
from reucid_core.fir import project_and_fuse
from reucid_core.krylov import eigenpairs_above, leading_pair
from reucid_core.memory import available_memory
from reucid_core.noise import NoiseModel, estimate_noise
from reucid_core.outcome import Outcome, Progress, Task
from reucid_core.patches import gather, origin_grid, origins_of, scatter_add
from reucid_core.plan import Plan
from reucid_core.psf import PatchSize, check_patch_size, find_patch_size
from reucid_core.report import RecoveryReport, StackReport
from reucid_core.terrain import full_terrain
from reucid_core.whitening import Whitening, half_band
from reucid_core.workload import MIB

Float64 = NDArray[np.float64]

OFFERED = 1.5  # noises: eigenpatches below it are noise, whoever judges
COARSE, FINE = 21, 41  # patch sizes in px of their grid
MIDDLE_SIZES = 11, 21
SHARE_OF_SIDE = 3  # a patch spans at most this part of the shorter side
OUT_OF_BAND = 0.24  # cycles/px
STRAY_POWER = 0.002  # of the noise's: signal out of band that forbids the coarse grid
FALSE_PEAK = 0.01  # probability of one in the spectrum of noise alone
FITTED = 0.01  # degrees of freedom for each number in an eigenpatch that is free (measured)
RECOVERY, PATTERN, PATTERNS = 7, 9, 3  # px, px, and how many patterns are tested
PIXEL = 96  # bytes of working memory for each pixel (measured: 63 to 93 from 512 x 512 px on)
FIXED = 64 * MIB  # Gram matrix and eigenpatches of the largest patches
BACKGROUND = 0.05  # quantile of the lattice that is its background


@dataclass(frozen=True)
class Lattice:
    """A decomposition of a whitened image's patches, and what is kept of it.

    Parameters
    ----------
    patch_size : int
        In px of the grid.
    spacing : {1, 2}
        Px of the image between neighbours on the grid: with 2, each of the four images of every
        other pixel has patches, of the image less its upper half of frequencies.
    decomposition : Decomposition
    verdict : StackReport
    weights : ndarray, shape (k,)
        Of the eigenpatches: 1 - 1/w if kept, w the eigenvalue over the noise's; else 0.
    """

    patch_size: int
    spacing: int
    decomposition: Decomposition
    verdict: StackReport
    weights: Float64

    @property
    def passed(self) -> float:
        """Share of the noise's degrees of freedom that stays."""
        return float(self.weights.sum()) / (self.patch_size * self.spacing) ** 2

    @property
    def fitted(self) -> float:
        """Degrees of freedom spent on finding the eigenpatches in the same noise.

        A subspace of k among p*p dimensions has k (p*p - k) free numbers; few patches of many
        pixels, as of particles on a dark ground, fit the noise and ring.
        """
        k = np.count_nonzero(self.weights)
        return FITTED * float(k * (self.patch_size**2 - k))

    def filter(self, whitened: FloatArray, threads: int | None) -> FloatArray:
        """The lattice in a whitened image, shape (m, n)."""
        E = self.decomposition.eigenpatches
        return filter_lattice(whitened, E, self.weights, self.spacing, threads)


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
    lattice, patch_size, first = _choose(noisy, whitened, task)
    clock.lap("lattice")
    recovered, recovery, offered, shown = _recover(whitened, first, whitening, task)
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
    return whitening.colour(first + _fused_at(whitened - first, mask, E))


def energy_of(noisy: FloatArray, noise: NoiseModel | None, p: int, spacing: int) -> float:
    """Squared Frobenius norm of the patch matrix at the lattice's scale."""
    grid = noisy
    if noise is not None and noise.kind != "none":
        grid = Whitening.of(noise).whiten(noisy)
    if spacing == 2:
        grid = half_band(grid)
    shape = (noisy.shape[0], noisy.shape[1])
    return float(np.vdot(grid.astype(np.float64) ** 2, full_terrain(shape, p, spacing)))


def filter_lattice(
    whitened: FloatArray, E: FloatArray, weights: Float64, spacing: int, threads: int | None
) -> FloatArray:
    """Project all patches on weighted eigenpatches and fuse them, shape (m, n)."""
    used = weights > 0
    if not used.any():
        return np.zeros_like(whitened)
    scaled = E[used].astype(np.float64) * np.sqrt(weights[used])[:, None, None]
    grid = whitened if spacing == 1 else half_band(whitened, threads=threads)
    out = np.empty_like(whitened)
    for phase in _phases(spacing):
        part = np.ascontiguousarray(grid[phase])
        out[phase] = project_and_fuse(part, scaled, threads=threads)
    return out


def _choose(
    noisy: FloatArray, whitened: FloatArray, task: Task
) -> tuple[Lattice, PatchSize, FloatArray]:
    """The lattice of least error by Stein's estimate, and the whitened image filtered by it."""
    params = task.params
    if params.patch_size is not None:
        size = check_patch_size(params.patch_size, noisy.shape)
        sizes = [(size.size, 1)]
    else:
        size = find_patch_size(noisy, threads=params.threads)
        sizes = _candidates(whitened, size.size)
    best: tuple[float, Lattice, FloatArray] | None = None
    variance: float | None = None
    for p, spacing in sizes:
        lattice = _decompose(whitened, p, spacing, task)
        filtered = lattice.filter(whitened, params.threads)
        error = float(np.square(whitened - filtered, dtype=np.float64).mean())
        if variance is None:  # that of the whole image: the model's is that of its middle rows
            variance = error / (1 - lattice.passed)
        error += 2 * lattice.passed * variance + lattice.fitted / whitened.size
        if best is None or error < best[0]:
            best = error, lattice, filtered
    assert best is not None  # noqa: S101  (there is always a candidate)
    _, lattice, filtered = best
    if params.patch_size is None:
        size = replace(size, size=lattice.patch_size, origin="least error")
    return lattice, size, filtered


def _candidates(whitened: FloatArray, psf_size: int) -> list[tuple[int, int]]:
    """Patch sizes and spacings that fit: at the probe's scale, between, at the lattice's."""
    coarse = (COARSE, 2) if _fits_half_band(whitened) else (FINE, 1)
    wanted = [*((p, 1) for p in sorted({psf_size, *MIDDLE_SIZES})), coarse]
    most = min(whitened.shape) // SHARE_OF_SIDE
    return [(p, spacing) for p, spacing in wanted if p * spacing <= most] or [(psf_size, 1)]


def _fits_half_band(whitened: FloatArray) -> bool:
    """Whether all peaks of the spectrum lie below half of the highest frequency."""
    window = np.outer(*(np.hanning(length) for length in whitened.shape))
    centred = (whitened - whitened.mean(dtype=np.float64)) * window
    power = np.abs(scipy.fft.rfft2(centred)) ** 2 / float(np.square(window).sum())
    ky = np.abs(scipy.fft.fftfreq(whitened.shape[0]))[:, None]
    kx = scipy.fft.rfftfreq(whitened.shape[1])
    outside = power[(ky > OUT_OF_BAND) | (kx > OUT_OF_BAND)]
    peaks = outside[outside > np.log(outside.size / FALSE_PEAK)]
    return float(2 * (peaks - 1).sum() / whitened.size) < STRAY_POWER


def _decompose(whitened: FloatArray, p: int, spacing: int, task: Task) -> Lattice:
    threads = task.params.threads
    grid = whitened if spacing == 1 else half_band(whitened, threads=threads)
    parts = [np.ascontiguousarray(grid[phase]) for phase in _phases(spacing)]
    variance = 1 / spacing**2  # of what white noise has in the band
    transforms = (Transform.of(part, lags=p - 1, threads=threads) for part in parts)
    decomposition = _standing_out(transforms, p, variance)
    verdict = task.judge(decomposition, stack=1)
    return Lattice(p, spacing, decomposition, verdict, weights_of(verdict, spacing))


def weights_of(verdict: StackReport, spacing: int) -> Float64:
    """Of a lattice's eigenpatches: kept or not is the verdict's say, the weight the noise's."""
    variance = 1 / spacing**2  # of what white noise has in the band
    w = np.square(verdict.singular_values) / (verdict.n_patches * variance)
    return np.where(verdict.kept, np.maximum(1 - 1 / np.maximum(w, 1e-12), 0.0), 0.0)


def _standing_out(transforms: Iterable[Transform], p: int, variance: float) -> Decomposition:
    """The eigenpatches of all images together that stand out of noise of this variance."""
    G, n_patches = np.zeros((p * p, p * p)), 0
    for transform in transforms:
        G += gram_of_patches(transform, p)
        rows, columns = origin_grid(transform.image.shape, p)
        n_patches += rows * columns
        del transform  # before the next takes its place
    values, eigenpatches = eigenpairs_above(G, OFFERED * variance * n_patches)
    if not len(values):  # noise alone
        values, eigenpatches = leading_pair(G)
    return Decomposition(
        eigenpatches=eigenpatches,
        singular_values=np.sqrt(np.maximum(values, 0.0)),
        n_patches=n_patches,
        energy=float(np.trace(G)),
        noise_variance=variance,
    )


def _phases(spacing: int) -> list[tuple[slice, slice]]:
    starts = range(spacing)
    return [(slice(y, None, spacing), slice(x, None, spacing)) for y in starts for x in starts]


def _recover(
    whitened: FloatArray, first: FloatArray, whitening: Whitening, task: Task
) -> tuple[FloatArray, RecoveryReport, FloatArray, float]:
    """What departs from the lattice, how it was found, its eigenpatches, and their share of all.

    What departs looks like the rest of the image at the probe's scale, so both the patterns that
    are tested for and the eigenpatches that recover are those of the image, not of the residual.
    """
    threads, side = task.params.threads, min(whitened.shape)
    residual = whitened - first
    estimate = whitening.colour(first)
    variance = local_variance(residual, estimate)
    transform = Transform.of(whitened, lags=min(PATTERN, side) - 1, threads=threads)
    patterns = _standing_out([transform], min(PATTERN, side - 1 + side % 2), 1.0)
    clear = int(np.count_nonzero(patterns.singular_values**2 > 2.0 * patterns.n_patches))
    background = np.quantile(estimate[::4, ::4], BACKGROUND).astype(estimate.dtype)
    mask = find_departures(
        residual,
        whitening.whiten(estimate - background),
        variance,
        patterns.eigenpatches[: min(PATTERNS, max(1, clear))],
    )
    p = min(RECOVERY, side - 1 + side % 2)
    decomposition = _standing_out([transform], p, 1.0)
    verdict = task.judge(decomposition, stack=2)
    useful = decomposition.eigenpatches[np.array(verdict.kept, dtype=bool)]
    report = RecoveryReport(p, verdict, float(mask.mean()), runs_of(mask))
    return _fused_at(residual, mask, useful), report, decomposition.eigenpatches, len(useful) / p**2


def _fused_at(residual: FloatArray, mask: NDArray[np.bool_], E: FloatArray) -> FloatArray:
    """The patches centred where the mask is, truncated and fused over all patches' terrain."""
    canvas = np.zeros_like(residual)
    p = E.shape[-1]
    h = p // 2
    m, n = residual.shape
    origins = origins_of(mask[h : m - h, h : n - h], n)
    if len(origins) and len(E):
        basis = E.reshape(len(E), -1).astype(residual.dtype)
        patches = gather(np.ascontiguousarray(residual), origins, p)
        scatter_add(canvas, (basis.T @ (basis @ patches.T)).T, origins, p)
    fused: FloatArray = canvas / full_terrain((m, n), p).astype(canvas.dtype)
    return fused


def _assess(noise: NoiseModel, lattice: Lattice, left: float, residual: FloatArray) -> Assessment:
    height, bound = structure_in(residual)
    share = max(share_of_noise(noise, lattice), np.finfo(np.float64).tiny)
    rest = left - lattice.passed  # what recovery lets through is of every colour
    return Assessment(
        noise_removed=1 - left,
        gain=float(-10 * np.log10(share + rest)),
        structure=height,
        bound=bound,
    )


def share_of_noise(noise: NoiseModel, lattice: Lattice) -> float:
    """Share of the noise's power that the lattice's filter lets through."""
    E = lattice.decomposition.eigenpatches
    p, spacing = lattice.patch_size, lattice.spacing
    side = scipy.fft.next_fast_len(2 * p, real=True)
    spectra = np.abs(scipy.fft.rfft2(E, s=(side, side))) ** 2
    response = np.tensordot(lattice.weights, spectra, 1) / p**2
    rows, columns = noise.spectrum()
    ky = spacing * np.arange(len(rows)) / (2 * max(len(rows), 2))
    kx = spacing * np.arange(len(columns)) / (2 * max(len(columns), 2))
    inside = np.outer(ky <= 0.5, kx <= 0.5)
    if len(rows) == 1:  # the same power at all frequencies across: their mean
        powers, response = columns, response.mean(axis=0)[None]
        picked = response[0, np.rint(np.minimum(kx, 0.5) * side).astype(int)] * (kx <= 0.5)
        return float(np.vdot(powers, picked) / powers.sum()) / spacing
    if len(columns) == 1:
        half = np.concatenate([response, response[:, 1 : (side + 1) // 2][:, ::-1]], axis=1)
        line = half.mean(axis=1)
        picked = line[np.rint(np.minimum(ky, 0.5) * side).astype(int) % side] * (ky <= 0.5)
        return float(np.vdot(rows, picked) / rows.sum()) / spacing
    at = np.ix_(
        np.rint(np.minimum(ky, 0.5) * side).astype(int) % side,
        np.rint(np.minimum(kx, 0.5) * side).astype(int),
    )
    powers = np.outer(rows, columns)
    return float(np.vdot(powers, response[at] * inside) / powers.sum())


def _unchanged(noisy: FloatArray, task: Task) -> Outcome:
    """The image itself, where no noise can be told."""
    size = find_patch_size(noisy, threads=task.params.threads)
    transform = Transform.of(noisy, lags=size.size - 1, threads=task.params.threads)
    whole = _standing_out([transform], size.size, 0.0)
    first = replace(
        whole, eigenpatches=whole.eigenpatches[:1], singular_values=whole.singular_values[:1]
    )
    verdict = task.judge(first, stack=1)
    return Outcome(Plan(size, 1, "engine", 1), noisy.copy(), None, [first.eigenpatches], [verdict])
