"""Rules that choose eigenpatches without a network: what a network has to beat.

All look at the eigenvalues lambda = s^2 of the patches' Gram matrix, or at the eigenpatches; only
Stein's estimate looks at the image. White noise of variance sigma^2 makes each of the N patches'
eigenvalues sigma^2 N on average. The theory of random matrices assumes independent patches; ours
overlap, which widens the noise's spectrum, and the noise of counts depends on the signal: its
results are borrowed here, not proven.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from reucid_core.eigenpatches import Decomposition, FloatArray
from reucid_core.features import aspect_ratio, noise_level, sides
from reucid_core.terrain import full_terrain
from reucid_core.training.labels.oracle import (
    Components,
    Kept,
    SubsetError,
    coefficients,
    image_oracle,
)

Float64 = NDArray[np.float64]
Rule = Callable[[Decomposition], Kept]
Statistic = Callable[[Decomposition], Float64]

PATCH_ORACLE_MULTIPLE = 2.0  # lambda = (signal + noise), so the signal outweighs the noise
GREY_LEVELS = 16  # of an eigenpatch's histogram
CANDIDATES = 512  # thresholds tried


@dataclass(frozen=True)
class TuningExample:
    """A micrograph of known truth by one decision about scan noise, as rules are tuned on it."""

    decomposition: Decomposition
    error: SubsetError


@dataclass(frozen=True)
class Threshold:
    """A rule that keeps eigenpatches by one number each.

    Parameters
    ----------
    statistic : callable
        Of a decomposition, shape (k,).
    threshold : float
    above : bool
        Whether what is kept lies above the threshold.
    """

    statistic: Statistic
    threshold: float
    above: bool = True

    def __call__(self, decomposition: Decomposition) -> Kept:
        values = self.statistic(decomposition)
        return _not_none(values > self.threshold if self.above else values < self.threshold)


def truncation(decomposition: Decomposition, alpha: int) -> Kept:
    """The first alpha eigenpatches, shape (k,): the paper's options in the survey."""
    return rank(decomposition) <= max(alpha, 1)


def relative_singular_value(decomposition: Decomposition, threshold: float) -> Kept:
    """Those with s_k / s_0 above a threshold, shape (k,)."""
    return _not_none(decomposition.relative_singular_values > threshold)


def gavish_donoho(decomposition: Decomposition) -> Kept:
    """Those above the optimal hard threshold of singular values, shape (k,).

    With all singular values listed the noise is unknown and the threshold omega(beta) times their
    median; otherwise lambda*(beta) sqrt(n) sigma, n the longer side, with the sigma of
    `noise_level`. beta is the patch matrix's aspect ratio, p^2 / N or its inverse, at most 1.

    Source: Gavish, Donoho, IEEE Trans. Inf. Theory 60, 5040 (2014), DOI 10.1109/TIT.2014.2323359.
    """
    s, beta = decomposition.singular_values, aspect_ratio(decomposition)
    if len(s) == min(sides(decomposition)):
        return _not_none(s > omega(beta) * np.median(s))
    n = max(sides(decomposition))
    return _not_none(s > hard_threshold(beta) * np.sqrt(n * noise_level(decomposition)))


def marchenko_pastur_edge(decomposition: Decomposition) -> Kept:
    """Those with lambda > sigma^2 (sqrt(N) + p)^2, where the spectrum of pure noise ends.

    Source: Marchenko, Pastur, Math. USSR Sb. 1, 457 (1967), DOI 10.1070/SM1967v001n04ABEH001994.
    """
    edge = noise_level(decomposition) * sum(np.sqrt(side) for side in sides(decomposition)) ** 2
    return _not_none(decomposition.singular_values**2 > edge)


def noise_multiple(decomposition: Decomposition, c: float = PATCH_ORACLE_MULTIPLE) -> Kept:
    """Those with lambda > c sigma^2 N, shape (k,).

    c = 2 is the patch oracle, had it to guess the noise: signal and noise add up in lambda, and an
    eigenpatch pays where its signal exceeds its noise.
    """
    return _not_none(noise_multiples(decomposition) > c)


def noise_multiples(decomposition: Decomposition) -> Float64:
    """Eigenvalues over that of the noise, lambda / (sigma^2 N), shape (k,)."""
    noise = noise_level(decomposition) * decomposition.n_patches
    # Without noise there is still rounding, and nothing to divide by.
    floor = max(np.finfo(np.float64).eps * decomposition.energy, np.finfo(np.float64).tiny)
    multiples: Float64 = decomposition.singular_values**2 / max(noise, floor)
    return multiples


def rank(decomposition: Decomposition) -> Float64:
    """1 for the first eigenpatch, and so on, shape (k,)."""
    return np.arange(1.0, 1 + len(decomposition.singular_values))


def relative_values(decomposition: Decomposition) -> Float64:
    """s_k / s_0, shape (k,)."""
    return decomposition.relative_singular_values


def gradient(decomposition: Decomposition) -> Float64:
    """Squared differences of neighbouring pixels per squared pixel, shape (k,); white noise has 4.

    The heuristic the paper names in "Overview" without a formula; this reading is ours.
    """
    e = decomposition.eigenpatches.astype(np.float64)
    p = decomposition.patch_size
    differences = sum((np.diff(e, axis=axis) ** 2).sum(axis=(1, 2)) for axis in (1, 2))
    return np.asarray(differences / (e**2).sum(axis=(1, 2)) * p / (p - 1))


def entropy(decomposition: Decomposition) -> Float64:
    """Shannon entropy of each eigenpatch's histogram between its extremes, in bits, shape (k,).

    The heuristic the paper names in "Overview" without a formula; this reading is ours.
    """
    return np.array([_histogram_entropy(e) for e in decomposition.eigenpatches])


def tune(
    statistic: Statistic, examples: Iterable[TuningExample], *, above: bool = True
) -> Threshold:
    """The threshold with the highest mean PSNR over examples, which is that of the least loss.

    Parameters
    ----------
    statistic : callable
    examples : iterable of TuningExample
    above : bool
        Whether to keep what lies above the threshold.
    """
    sign = 1.0 if above else -1.0
    curves = [_psnr_by_cut(sign * statistic(e.decomposition), e.error) for e in examples]
    if not curves:
        raise ValueError("got no examples, expected at least one to tune a threshold on")
    pooled = np.sort(np.concatenate([values for values, _ in curves]))
    cuts = (pooled[1:] + pooled[:-1]) / 2
    if len(cuts) > CANDIDATES:
        cuts = cuts[np.linspace(0, len(cuts) - 1, CANDIDATES).astype(int)]
    means = np.zeros(len(cuts))
    for values, psnrs in curves:  # values descending
        kept = np.searchsorted(-values, -cuts, side="left")
        means += psnrs[np.maximum(kept, 1) - 1]
    return Threshold(statistic, sign * float(cuts[np.argmax(means)]), above)


def best_noise_multiple(examples: Iterable[TuningExample]) -> Threshold:
    """The rule lambda > c sigma^2 N with the best c over examples; c is its `threshold`."""
    return tune(noise_multiples, examples)


def best_truncation(examples: Iterable[TuningExample]) -> Threshold:
    """The first alpha eigenpatches, with the best alpha over examples."""
    return tune(rank, examples, above=False)


def best_relative_value(examples: Iterable[TuningExample]) -> Threshold:
    """s_k / s_0 above the best threshold over examples."""
    return tune(relative_values, examples)


def best_gradient(examples: Iterable[TuningExample]) -> Threshold:
    """Smooth eigenpatches, with the best limit over examples."""
    return tune(gradient, examples, above=False)


def best_entropy(examples: Sequence[TuningExample]) -> Threshold:
    """Eigenpatches of low or of high entropy, whichever is better over examples."""
    rules = [tune(entropy, examples, above=above) for above in (False, True)]
    return max(rules, key=lambda rule: float(np.mean([_psnr(rule, e) for e in examples])))


def sure_error(
    decomposition: Decomposition,
    noisy: FloatArray,
    variance: float | FloatArray | None = None,
    *,
    gram: Float64 | None = None,
) -> SubsetError:
    """Stein's unbiased estimate of every subset's squared error, without the truth.

    |y - F y|^2 + 2 sum_j v_j F_jj - sum_j v_j, for the linear operator F = sum_k z_k F_k that cuts
    patches, truncates and fuses them, and noise of variance v_j in pixel j. It has the form of
    `SubsetError`, the noise's share taken from the overlap with the noisy image. The eigenpatches
    are held fixed, though they come from the same noise: that biases the estimate towards keeping.

    Source: Stein, Ann. Stat. 9, 1135 (1981), DOI 10.1214/aos/1176345632.

    Parameters
    ----------
    decomposition : Decomposition
        Of the single stack of all patches.
    noisy : ndarray, shape (m, n)
    variance : float or ndarray, shape (m, n), optional
        By default that of `noise_level`.
    gram : ndarray, shape (k, k), optional
        Inner products of the fused components, if at hand: `SubsetError.gram`.
    """
    v = np.float64(noise_level(decomposition)) if variance is None else np.asarray(variance)
    v = np.broadcast_to(v.astype(np.float64), noisy.shape)
    y = noisy.astype(np.float64)
    if gram is None:
        gram = Components.of(decomposition, noisy).gram
    weights = 1.0 / full_terrain((noisy.shape[0], noisy.shape[1]), decomposition.patch_size)
    ours = coefficients(y, decomposition.eigenpatches)
    overlap = np.einsum("kyx,kyx->k", ours, coefficients(y * weights, decomposition.eigenpatches))
    return SubsetError(
        gram=gram,
        overlap=overlap - fused_traces(decomposition, v * weights),
        energy=float(np.vdot(y, y) - v.sum()),
        n_pixels=noisy.size,
        peak=float(np.ptp(y)),
    )


def sure_subset(
    decomposition: Decomposition,
    noisy: FloatArray,
    variance: float | FloatArray | None = None,
    *,
    gram: Float64 | None = None,
) -> Kept:
    """The subset of least estimated error, by single flips from `noise_multiple`, shape (k,)."""
    error = sure_error(decomposition, noisy, variance, gram=gram)
    return _not_none(image_oracle(error, noise_multiple(decomposition)))


def fused_traces(decomposition: Decomposition, weights: Float64) -> Float64:
    """sum_j w_j F_jj for each eigenpatch's operator before the terrain, shape (k,).

    Each origin x puts e_k(i)^2 on the diagonal at pixel x + i, so the weights are summed over the
    window of all origins, once for each of the p^2 pixels of a patch.
    """
    q = decomposition.patch_size - 1
    m, n = weights.shape
    sums = np.zeros((m + 1, n + 1))
    sums[1:, 1:] = weights.cumsum(axis=0).cumsum(axis=1)
    rows, columns = m - q, n - q
    windows = (
        sums[rows:, columns:] - sums[:-rows, columns:] - sums[rows:, :-columns]
        + sums[:-rows, :-columns]
    )  # fmt: skip
    return np.asarray(np.einsum("kyx,yx->k", decomposition.eigenpatches**2, windows))


def hard_threshold(beta: float) -> float:
    """lambda*(beta): 4 / sqrt(3) for a square matrix (Gavish, Donoho, eq. 11)."""
    return float(np.sqrt(2 * (beta + 1) + 8 * beta / (beta + 1 + np.sqrt(beta**2 + 14 * beta + 1))))


def omega(beta: float) -> float:
    """lambda*(beta) over the root of the Marchenko-Pastur median (Gavish, Donoho, table IV)."""
    return hard_threshold(beta) / float(np.sqrt(marchenko_pastur_median(beta)))


def marchenko_pastur_median(beta: float) -> float:
    """Median of the limiting spectrum of noise of unit variance, for 0 < beta <= 1.

    With x = 1 + beta - 2 sqrt(beta) cos(t), the density in t has no singularity.
    """
    edges = np.linspace(0, np.pi, 20001)
    t = (edges[1:] + edges[:-1]) / 2
    density = np.sin(t) ** 2 / (1 + beta - 2 * np.sqrt(beta) * np.cos(t))
    share = np.concatenate([[0.0], np.cumsum(density)])
    median = np.interp(share[-1] / 2, share, edges)
    return float(1 + beta - 2 * np.sqrt(beta) * np.cos(median))


def _not_none(kept: Kept) -> Kept:
    """As the pipeline: where nothing is useful, the first is kept."""
    return kept if kept.any() else np.arange(len(kept)) == 0


def _histogram_entropy(e: FloatArray) -> float:
    counts, _ = np.histogram(e, bins=GREY_LEVELS)
    shares = counts[counts > 0] / counts.sum()
    return float(-(shares * np.log2(shares)).sum())


def _psnr_by_cut(values: Float64, error: SubsetError) -> tuple[Float64, Float64]:
    """The statistic, descending, and the PSNR of keeping everything down to each, shape (k,)."""
    order = np.argsort(-values, kind="stable")
    blocks = error.gram[np.ix_(order, order)].cumsum(axis=0).cumsum(axis=1)
    squared = blocks.diagonal() - 2 * np.cumsum(error.overlap[order]) + error.energy
    return values[order], 10 * np.log10(error.peak**2 * error.n_pixels / squared)


def _psnr(rule: Rule, example: TuningExample) -> float:
    return example.error.psnr(rule(example.decomposition))
