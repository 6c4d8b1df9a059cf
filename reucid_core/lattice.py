"""The lattice of whitened frames: a decomposition of large patches, and the filter made of it."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import scipy.fft
from numpy.typing import NDArray

from reucid_core.correlation import fast_shape
from reucid_core.eigenpatches import Decomposition, FloatArray
from reucid_core.exact import Sums, grams_of
from reucid_core.fir import Projection
from reucid_core.grids import Grids, WhitenedFrames
from reucid_core.krylov import eigenpairs_above, leading_pair
from reucid_core.noise import NoiseModel
from reucid_core.outcome import Task
from reucid_core.psf import PatchSize
from reucid_core.report import StackReport
from reucid_core.terrain import full_terrain
from reucid_core.whitening import Whitening, half_band

Float64 = NDArray[np.float64]
SumGrams = Callable[[int, Sequence[int]], Sums]  # of a grid's spacing and patch sizes

OFFERED = 1.5  # noises: eigenpatches below it are noise, whoever judges
COARSE, FINE = 21, 41  # patch sizes in px of their grid
MIDDLE_SIZES = 11, 21
CLEAR = 0.02  # of the noise's variance: so much less error is a lattice's
SHARE_OF_SIDE = 3  # a patch spans at most this part of the shorter side
OUT_OF_BAND = 0.24  # cycles/px
STRAY_POWER = 0.002  # of the noise's: signal out of band that forbids the coarse grid
FALSE_PEAK = 0.01  # probability of one in the spectrum of noise alone
FITTED = 0.01  # degrees of freedom for each number in an eigenpatch that is free (measured)


@dataclass(frozen=True)
class Lattice:
    """A decomposition of whitened patches, and what is kept of it.

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

    def filter(self, grids: Grids) -> FloatArray:
        """The lattice in a whitened image, shape (m, n): all patches projected and fused."""
        if (filtered := grids.taken_from(self)) is not None:
            return filtered
        E = self.decomposition.eigenpatches
        return filter_grids(grids, E, self.weights, self.spacing)

    def passed_of(self, noise: NoiseModel) -> float:
        """Share of the noise's power that the filter lets through."""
        p = self.patch_size
        side = scipy.fft.next_fast_len(2 * p, real=True)
        spectra = np.abs(scipy.fft.rfft2(self.decomposition.eigenpatches, s=(side, side))) ** 2
        half = np.tensordot(self.weights, spectra, 1) / p**2
        mirrored = half[-np.arange(side) % side, 1 : (side + 1) // 2][:, ::-1]
        response = np.concatenate([half, mirrored], axis=1)  # at all frequencies of the grid
        powers = [np.array(power) for power in noise.spectrum()]
        (rows, y), (columns, x) = (_at(power, self.spacing, side) for power in powers)
        line = response.mean(axis=1, keepdims=True) if x is None else response[:, x]
        found = line.mean(axis=0, keepdims=True) if y is None else line[y]
        share = float(rows @ found @ columns / (powers[0].sum() * powers[1].sum()))
        # A direction in which the noise is white lets the band's share of it through.
        return share / float(self.spacing ** ((x is None) + (y is None)))


def _at(power: Float64, spacing: int, side: int) -> tuple[Float64, NDArray[np.intp] | None]:
    """The power within a grid's band, and where in a spectrum of so many frequencies it lies."""
    if len(power) == 1:
        return power, None
    frequencies = spacing * np.arange(len(power)) / (2 * len(power))  # cycles/px of the grid
    inside = frequencies <= 0.5
    return power[inside], np.rint(frequencies[inside] * side).astype(np.intp) % side


def find_lattice(
    whitened: WhitenedFrames, psf: PatchSize, task: Task, grams: SumGrams
) -> tuple[Lattice, PatchSize]:
    """The lattice of all frames, at the patch size of least error in a sample of them.

    Parameters
    ----------
    whitened : WhitenedFrames
    psf : PatchSize
        Of the probe, or as stated.
    task : Task
    grams : callable
        As `WhitenedFrames.grams`.
    """
    if psf.origin == "given":
        return _decompose(grams(1, [psf.size]), psf.size, 1, task), psf
    sample = whitened.sample()
    chosen = _least_error(sample, _candidates(sample, psf.size), task)
    if sum(grids.image.size for grids in sample) < whitened.pixels:
        p, spacing = chosen.patch_size, chosen.spacing
        chosen = _decompose(grams(spacing, [p]), p, spacing, task)
    return chosen, replace(psf, size=chosen.patch_size, origin="least error")


def _least_error(sample: Sequence[Grids], sizes: Sequence[tuple[int, int]], task: Task) -> Lattice:
    """The lattice whose filter errs least in the sample, by Stein's estimate.

    Where the largest patches are clearly better than the smallest the image has a lattice, whose
    errors fall from size to size: none in between is tried.
    """
    if len(sizes) == 1:
        return _lattice_in(sample, *sizes[0], task)
    smallest = _Trial.of(_lattice_in(sample, *sizes[0], task), sample)
    # As it is here, so that errors of the model cancel.
    variance = smallest.residual / (1 - smallest.lattice.passed)
    trials = [smallest, _Trial.of(_lattice_in(sample, *sizes[-1], task), sample)]
    if trials[-1].error(variance) >= smallest.error(variance) - CLEAR * variance:
        trials[1:1] = [_Trial.of(_lattice_in(sample, *size, task), sample) for size in sizes[1:-1]]
    best = min(trials, key=lambda trial: trial.error(variance))
    for grids, image in zip(sample, best.filtered, strict=True):
        grids.keep_from(best.lattice, image)
    return best.lattice


@dataclass(frozen=True)
class _Trial:
    """What a lattice makes of a sample, and the mean square of what it leaves."""

    lattice: Lattice
    filtered: list[FloatArray]
    residual: float
    pixels: int

    @classmethod
    def of(cls, lattice: Lattice, sample: Sequence[Grids]) -> "_Trial":
        filtered = [lattice.filter(grids) for grids in sample]
        pixels = sum(grids.image.size for grids in sample)
        squares = sum(map(_squared_residual, sample, filtered))
        return cls(lattice, filtered, squares / pixels, pixels)

    def error(self, variance: float) -> float:
        """Stein's estimate of the mean squared error, plus the noise's variance."""
        fitted = self.lattice.fitted / self.pixels
        return self.residual + 2 * self.lattice.passed * variance + fitted


def _lattice_in(sample: Sequence[Grids], p: int, spacing: int, task: Task) -> Lattice:
    transforms = (part[1] for grids in sample for part in grids.parts(spacing))
    return _decompose(grams_of(transforms, [p]), p, spacing, task)


def _candidates(sample: Sequence[Grids], psf_size: int) -> list[tuple[int, int]]:
    """Patch sizes and spacings that fit: at the probe's scale, between, at the lattice's."""
    coarse = (COARSE, 2) if all(_fits_half_band(grids) for grids in sample) else (FINE, 1)
    wanted = [*((p, 1) for p in sorted({psf_size, *MIDDLE_SIZES})), coarse]
    most = min(sample[0].image.shape) // SHARE_OF_SIDE
    return [(p, spacing) for p, spacing in wanted if p * spacing <= most] or [(psf_size, 1)]


def lags_needed(psf_size: int) -> tuple[int, int]:
    """Longest lags in px at which the patches of the full and the coarse grid are correlated."""
    return max(psf_size, FINE) - 1, COARSE - 1


def standing_out(sums: Sums, variance: float) -> list[Decomposition]:
    """The eigenpatches that stand out of noise of this variance, of each Gram matrix."""
    return [_above_noise(G, n, variance) for G, n in zip(sums.arrays, sums.numbers, strict=True)]


def filter_grids(grids: Grids, E: FloatArray, weights: Float64, spacing: int) -> FloatArray:
    """Project all patches of a grid on weighted eigenpatches and fuse them, shape (m, n)."""
    canvas = grids.canvas(spacing)
    used = weights > 0
    if not used.any():
        grids.forget_canvas()
        return np.zeros_like(canvas)
    # In the precision of the image, whose deviation from the mean is what is transformed.
    scaled = (E[used] * np.sqrt(weights[used])[:, None, None]).astype(canvas.dtype)
    projection = Projection(scaled)  # of all parts
    for phase, transform in grids.parts(spacing):
        projection.fuse(
            transform.image,
            spectrum=transform.spectrum,
            offset=transform.mean,
            height=grids.height,
            threads=grids.threads,
            out=canvas[phase],
        )
        del transform  # before the next takes its place
    grids.forget_canvas()
    return canvas


def energy_of(noisy: FloatArray, noise: NoiseModel | None, p: int, spacing: int) -> float:
    """Squared Frobenius norm of the patch matrix at the lattice's scale."""
    grid = noisy
    if noise is not None and noise.kind != "none":
        grid = Whitening.of(noise).whiten(noisy)
    if spacing == 2:
        grid = half_band(grid)
    shape = (noisy.shape[0], noisy.shape[1])
    return float(np.vdot(grid.astype(np.float64) ** 2, full_terrain(shape, p, spacing)))


def _squared_residual(grids: Grids, filtered: FloatArray) -> float:
    residual = grids.image - filtered
    return float(np.vdot(residual, residual))


def _fits_half_band(grids: Grids) -> bool:
    """Whether all peaks of the spectrum lie below half of the highest frequency."""
    whitened = grids.image
    window = np.outer(*(np.hanning(length) for length in whitened.shape))
    centred = (whitened - whitened.mean(dtype=np.float64)) * window
    shape = fast_shape(whitened.shape)
    single = centred.astype(np.float32)  # as in white noise even 1e-4 would not matter
    power = np.abs(scipy.fft.rfft2(single, s=shape, workers=grids.threads)) ** 2
    power /= float(np.square(window).sum())
    ky = np.abs(scipy.fft.fftfreq(shape[0]))[:, None]
    kx = scipy.fft.rfftfreq(shape[1])
    outside = power[(ky > OUT_OF_BAND) | (kx > OUT_OF_BAND)]
    peaks = outside[outside > np.log(outside.size / FALSE_PEAK)]
    share = whitened.size / (shape[0] * shape[1])  # of the field, whose rest is zeros
    return float(2 * share * (peaks - 1).sum() / whitened.size) < STRAY_POWER


def _decompose(sums: Sums, p: int, spacing: int, task: Task) -> Lattice:
    (decomposition,) = standing_out(sums, _variance(spacing))
    return _judged(decomposition, p, spacing, task)


def lattice_of(G: Float64, n_patches: int, p: int, spacing: int, task: Task) -> Lattice:
    """The lattice of patches whose Gram matrix, shape (p*p, p*p), is given."""
    return _judged(_above_noise(G, n_patches, _variance(spacing)), p, spacing, task)


def _judged(decomposition: Decomposition, p: int, spacing: int, task: Task) -> Lattice:
    verdict = task.judge(decomposition, stack=1)
    return Lattice(p, spacing, decomposition, verdict, weights_of(verdict, spacing))


def _variance(spacing: int) -> float:
    """Of what white noise of variance 1 has in a grid's band."""
    return 1 / spacing**2


def weights_of(verdict: StackReport, spacing: int) -> Float64:
    """Of a lattice's eigenpatches: kept or not is the verdict's say, the weight the noise's."""
    w = np.square(verdict.singular_values) / (verdict.n_patches * _variance(spacing))
    return np.where(verdict.kept, np.maximum(1 - 1 / np.maximum(w, 1e-12), 0.0), 0.0)


def _above_noise(G: Float64, n_patches: int, variance: float) -> Decomposition:
    energy = float(np.trace(G))
    values, eigenpatches = eigenpairs_above(G, OFFERED * variance * n_patches)
    if not len(values):  # noise alone
        values, eigenpatches = leading_pair(G)
    return Decomposition(
        eigenpatches=eigenpatches,
        singular_values=np.sqrt(np.maximum(values, 0.0)),
        n_patches=n_patches,
        energy=energy,
        noise_variance=variance,
    )
