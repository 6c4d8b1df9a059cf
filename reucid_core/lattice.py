"""The lattice of a whitened image: a decomposition of large patches, and the filter made of it."""

from collections.abc import Iterable
from dataclasses import dataclass, replace

import numpy as np
import scipy.fft
from numpy.typing import NDArray

from reucid_core.eigenpatches import Decomposition, FloatArray
from reucid_core.exact import Transform, gram_of_patches
from reucid_core.fir import project_and_fuse
from reucid_core.krylov import eigenpairs_above, leading_pair
from reucid_core.noise import NoiseModel
from reucid_core.outcome import Task
from reucid_core.patches import origin_grid
from reucid_core.psf import PatchSize, check_patch_size, find_patch_size
from reucid_core.report import StackReport
from reucid_core.terrain import full_terrain
from reucid_core.whitening import Whitening, half_band

Float64 = NDArray[np.float64]

OFFERED = 1.5  # noises: eigenpatches below it are noise, whoever judges
COARSE, FINE = 21, 41  # patch sizes in px of their grid
MIDDLE_SIZES = 11, 21
SHARE_OF_SIDE = 3  # a patch spans at most this part of the shorter side
OUT_OF_BAND = 0.24  # cycles/px
STRAY_POWER = 0.002  # of the noise's: signal out of band that forbids the coarse grid
FALSE_PEAK = 0.01  # probability of one in the spectrum of noise alone
FITTED = 0.01  # degrees of freedom for each number in an eigenpatch that is free (measured)


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

    def passed_of(self, noise: NoiseModel) -> float:
        """Share of the noise's power that the lattice's filter lets through."""
        E = self.decomposition.eigenpatches
        p, spacing = self.patch_size, self.spacing
        side = scipy.fft.next_fast_len(2 * p, real=True)
        spectra = np.abs(scipy.fft.rfft2(E, s=(side, side))) ** 2
        response = np.tensordot(self.weights, spectra, 1) / p**2
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


def choose_lattice(
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


def energy_of(noisy: FloatArray, noise: NoiseModel | None, p: int, spacing: int) -> float:
    """Squared Frobenius norm of the patch matrix at the lattice's scale."""
    grid = noisy
    if noise is not None and noise.kind != "none":
        grid = Whitening.of(noise).whiten(noisy)
    if spacing == 2:
        grid = half_band(grid)
    shape = (noisy.shape[0], noisy.shape[1])
    return float(np.vdot(grid.astype(np.float64) ** 2, full_terrain(shape, p, spacing)))


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
    decomposition = standing_out(transforms, p, variance)
    verdict = task.judge(decomposition, stack=1)
    w = decomposition.singular_values**2 / (decomposition.n_patches * variance)
    weights = np.where(verdict.kept, np.maximum(1 - 1 / np.maximum(w, 1e-12), 0.0), 0.0)
    return Lattice(p, spacing, decomposition, verdict, weights)


def standing_out(transforms: Iterable[Transform], p: int, variance: float) -> Decomposition:
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
