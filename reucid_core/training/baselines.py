"""Rules that choose eigenpatches without a network: what the classifier has to beat.

Each returns the kept ones, shape (k,), bool.
"""

from collections.abc import Callable, Sequence

import numpy as np
import scipy.signal
from numpy.typing import NDArray

from reucid_core.eigenpatches import Decomposition, FloatArray
from reucid_core.features import noise_level
from reucid_core.terrain import terrain
from reucid_core.training.labels import Kept, SubsetError, image_oracle

Rule = Callable[[Decomposition], Kept]


def truncation(decomposition: Decomposition, alpha: int) -> Kept:
    """The leading `alpha` eigenpatches."""
    return np.arange(len(decomposition.singular_values)) < alpha


def relative_singular_value(decomposition: Decomposition, threshold: float) -> Kept:
    """s_k / s_0 above a threshold."""
    return decomposition.relative_singular_values > threshold


def noise_multiple(decomposition: Decomposition, c: float) -> Kept:
    """lambda_k > c sigma^2 N; c = 2 is the rule of the least squared error of the patches."""
    eigenvalues = decomposition.singular_values**2
    return eigenvalues > c * noise_level(decomposition) * decomposition.n_patches


def marchenko_pastur_edge(decomposition: Decomposition) -> Kept:
    """Above the largest eigenvalue of pure noise, sigma^2 N (1 + sqrt(p^2 / N))^2.

    Marchenko, Pastur, Math. USSR Sb. 1, 457 (1967). It supposes independent patches; these overlap.
    """
    beta = decomposition.patch_size**2 / decomposition.n_patches
    return noise_multiple(decomposition, (1 + np.sqrt(beta)) ** 2)


def gavish_donoho(decomposition: Decomposition) -> Kept:
    """The optimal hard threshold of singular values, for a known noise level.

    Gavish, Donoho, IEEE Trans. Inf. Theory 60, 5040 (2014), DOI 10.1109/TIT.2014.2323359, eq. 11,
    with the aspect ratio beta = p^2 / N. The noise is estimated, since the median singular value,
    on which its form for unknown noise relies, is not among those listed.
    """
    beta = decomposition.patch_size**2 / decomposition.n_patches
    return noise_multiple(decomposition, optimal_threshold(beta) ** 2)


def optimal_threshold(beta: float) -> float:
    """lambda_*(beta) of Gavish and Donoho, eq. 11: 4 / sqrt(3) where beta is 1."""
    return float(np.sqrt(2 * (beta + 1) + 8 * beta / (beta + 1 + np.sqrt(beta**2 + 14 * beta + 1))))


def entropy(decomposition: Decomposition, threshold: float) -> Kept:
    """Eigenpatches whose energy is gathered in few frequencies: spectral entropy below a threshold.

    Relative to that of a flat spectrum; one of the heuristics the paper found wanting.
    """
    power = np.abs(np.fft.fft2(decomposition.eigenpatches)) ** 2
    share = power / power.sum(axis=(1, 2), keepdims=True)
    bits = -(share * np.log(np.maximum(share, 1e-300))).sum(axis=(1, 2))
    kept: Kept = bits / np.log(power[0].size) < threshold
    return kept


def gradient(decomposition: Decomposition, threshold: float) -> Kept:
    """Smooth eigenpatches: mean squared difference of neighbours, below a threshold.

    Relative to white noise, whose is 2 / p^2; one of the heuristics the paper found wanting.
    """
    e = decomposition.eigenpatches
    squares = sum(np.square(np.diff(e, axis=axis)).mean(axis=(1, 2)) for axis in (1, 2)) / 2
    kept: Kept = np.asarray(squares * decomposition.patch_size**2 / 2) < threshold
    return kept


def sure_subset(
    decomposition: Decomposition,
    noisy: FloatArray,
    fused: NDArray[np.float64],
    gram: NDArray[np.float64],
) -> Kept:
    """The subset of least estimated error of the fused image, found by single flips, no truth.

    Stein's unbiased risk estimate, Ann. Stat. 9, 1135 (1981), |y - F y|^2 + 2 sigma^2 tr F -
    n sigma^2 for a linear filter F, as if the eigenpatches did not depend on the noise.

    Parameters
    ----------
    decomposition : Decomposition
    noisy : ndarray, shape (m, n)
    fused : ndarray, shape (k, m * n)
        Of `labels.fused_components`.
    gram : ndarray, shape (k, k)
        ``fused @ fused.T``.
    """
    trace = filter_traces(decomposition, noisy.shape)
    noise = noise_level(decomposition)
    estimate = SubsetError(
        gram=gram,
        overlap=fused @ noisy.ravel() - noise * trace,
        energy=float(np.vdot(noisy, noisy)),
        n_pixels=noisy.size,
        peak=float(np.ptp(noisy)),
    )
    return image_oracle(estimate, noise_multiple(decomposition, 2.0))


def filter_traces(decomposition: Decomposition, shape: tuple[int, ...]) -> NDArray[np.float64]:
    """Trace of the filter that each eigenpatch makes of an image of a shape, (k,)."""
    p = decomposition.patch_size
    origins = np.ones([side - p + 1 for side in shape])
    overlaps = terrain(origins.astype(np.bool_), p)
    squares = np.square(decomposition.eigenpatches.astype(np.float64))
    return np.array(
        [(scipy.signal.fftconvolve(origins, each) / overlaps).sum() for each in squares]
    )


def best_parameter(
    rule: Callable[[Decomposition, float], Kept],
    candidates: Sequence[float],
    decompositions: Sequence[Decomposition],
    losses: Sequence[Callable[[Kept], float]],
) -> float:
    """The parameter of a rule with the least mean loss over some images."""

    def mean_loss(value: float) -> float:
        pairs = zip(decompositions, losses, strict=True)
        return float(np.mean([loss(rule(decomposition, value)) for decomposition, loss in pairs]))

    return min(candidates, key=mean_loss)
