"""What a decomposition says of its eigenpatches beside their looks, one number for each.

Functions of the eigenpatches, the singular values, N, p and the energy alone: no pixel, no dose, no
noise level is asked of anybody.
"""

from collections.abc import Iterator

import numpy as np
import scipy.fft
from numpy.typing import NDArray

from reucid_core.eigenpatches import Decomposition

Feature = NDArray[np.float64]  # shape (k,)

PATCH_RULE = 2.0  # lambda > 2 sigma^2 N lowers the squared error of the patches
IMAGE_RULE = 2.4  # overlapping patches average: the image demands a little more (measured)
FLOOR = 1e-9  # below it a share is rounding
MOST = 12.0  # natural logarithms beyond it say no more

ACROSS = {  # what a quarter turn of the image makes of a feature
    "row_share": "column_share",
    "column_share": "row_share",
    "neighbours_y": "neighbours_x",
    "neighbours_x": "neighbours_y",
    "row_level": "column_level",
    "column_level": "row_level",
}


def noise_level(decomposition: Decomposition, multiple: float | None = None) -> float:
    """Variance sigma^2 of the noise of a pixel, intensity squared.

    That of the decomposition where it is known and no multiple is stated. Else the mean of the
    eigenvalues that do not exceed `multiple` times themselves, over N; white noise of variance
    sigma^2 adds sigma^2 N to every eigenvalue. Those not listed are counted, by the energy that is
    left for them. Starting from all of them, what exceeds the multiple is rejected as signal until
    nothing more does. The smallest never exceeds its own mean, so the iteration ends before none is
    left, also where all p^2 are listed.

    By default the multiple is the Marchenko-Pastur edge, (1 + sqrt(beta))^2: with 2, weak signal
    counts as noise, up to 20 % too much for p = 5 on a simulated lattice, where the edge is within
    2 %.
    """
    if multiple is None and decomposition.noise_variance is not None:
        return decomposition.noise_variance
    if multiple is None:
        multiple = (1 + np.sqrt(aspect_ratio(decomposition))) ** 2
    eigenvalues = decomposition.singular_values**2  # descending
    total = min(sides(decomposition))
    above = np.concatenate([[0.0], np.cumsum(eigenvalues)])
    signals = 0
    while True:
        mean = max(decomposition.energy - above[signals], 0.0) / max(total - signals, 1)
        found = int(np.count_nonzero(eigenvalues > multiple * mean))
        if found <= signals or found >= total:
            return float(mean / decomposition.n_patches)
        signals = found


def aspect_ratio(decomposition: Decomposition) -> float:
    """The patch matrix's shorter side over its longer, p^2 / N as a rule; at most 1."""
    short, long = sorted(sides(decomposition))
    return short / long


def sides(decomposition: Decomposition) -> tuple[int, int]:
    """Rows and columns of the patch matrix, N and p^2."""
    return decomposition.n_patches, decomposition.patch_size**2


def features(decomposition: Decomposition) -> dict[str, Feature]:
    """All features by their names, each of shape (k,), float64.

    Cost O(k p^2 log p + k^2 p^2).
    """
    return dict(_values(decomposition)) | dict(_looks(decomposition)) | _spectral(decomposition)


def _values(decomposition: Decomposition) -> Iterator[tuple[str, Feature]]:
    """Of the singular values: height above the noise, rank, gaps."""
    relative = decomposition.relative_singular_values
    k = len(relative)
    logs = np.log(np.maximum(relative, np.exp(-MOST)))
    yield "relative_singular_value", relative
    yield "log_relative_singular_value", logs
    yield "log_excess", _log_excess(decomposition)
    yield "log_rank", np.log1p(np.arange(k))
    gaps = np.minimum(2 * -np.diff(logs), MOST)
    yield "gap_above", np.concatenate([[0.0], gaps])
    yield "gap_below", np.concatenate([gaps, [0.0]])
    yield "log_patch_size", np.full(k, np.log(decomposition.patch_size))


def _log_excess(decomposition: Decomposition) -> Feature:
    """log(lambda_k / 2 sigma^2 N), shape (k,)."""
    noise = PATCH_RULE * noise_level(decomposition) * decomposition.n_patches
    if noise <= 0:
        return np.full(len(decomposition.singular_values), MOST)
    ratio = decomposition.singular_values**2 / noise
    clipped: Feature = np.log(np.clip(ratio, np.exp(-MOST), np.exp(MOST)))
    return clipped


def _looks(decomposition: Decomposition) -> Iterator[tuple[str, Feature]]:
    """Of the eigenpatches: alike along a row or a column, smooth or rough."""
    e = decomposition.eigenpatches.astype(np.float64)  # (k, p, p)
    p = decomposition.patch_size
    rows = p * np.square(e.mean(axis=2)).sum(axis=1)
    columns = p * np.square(e.mean(axis=1)).sum(axis=1)
    yield "row_share", rows
    yield "column_share", columns
    yield "neighbours_y", np.einsum("kyx,kyx->k", e[:, 1:], e[:, :-1])
    yield "neighbours_x", np.einsum("kyx,kyx->k", e[:, :, 1:], e[:, :, :-1])

    # How much of what exceeds the noise lies in streaks, over the image as a whole.
    noise = noise_level(decomposition) * decomposition.n_patches
    excess = np.maximum(decomposition.singular_values**2 - noise, 0.0)
    excess[:1] = 0.0  # the mean is as alike along rows as along columns
    for name, shares in (("row_level", rows), ("column_level", columns)):
        level = float(excess @ shares) / p / max(noise, np.finfo(np.float64).tiny)
        yield name, np.full(len(e), min(np.log1p(level), MOST))


def _spectral(decomposition: Decomposition) -> dict[str, Feature]:
    """Of the filters that the eigenpatches make: what they let through, and who else does.

    In the fused image eigenpatch k is the filter |E_k|^2 / p^2, E_k its Fourier transform. Of white
    noise it lets through the sum of its squares; of the image, what meets the patches' spectrum.
    """
    e = decomposition.eigenpatches.astype(np.float64)
    p, n_patches = decomposition.patch_size, decomposition.n_patches
    side = scipy.fft.next_fast_len(2 * p, real=True)
    power = np.abs(scipy.fft.rfft2(e, s=(side, side))) ** 2  # (k, side, side // 2 + 1)
    power = power.reshape(len(e), -1) / (side * p)
    counts = np.tile(_multiplicity(side), side)  # (side * (side // 2 + 1),)

    eigenvalues = decomposition.singular_values**2 / n_patches
    noise = noise_level(decomposition)
    useful = eigenvalues > IMAGE_RULE * noise
    useful[:1] = True
    signal = np.maximum(eigenvalues - noise, 0.0) @ power  # the patches' spectrum
    signal /= max(float(np.sqrt(counts @ signal**2)), np.finfo(np.float64).tiny)
    kept = power[useful].sum(axis=0)
    own = np.maximum(power**2 @ counts, FLOOR)
    shared = np.maximum(power @ (counts * kept), FLOOR)
    return {
        "log_noise_gain": np.log(own),
        "log_shared_gain": np.log(shared / own),
        "log_signal_gain": np.log(np.maximum(power @ (counts * signal), FLOOR)),
        "log_shared_signal": np.log(np.maximum(power @ (counts * kept * signal), FLOOR)),
        "log_useful": np.full(len(e), np.log1p(np.count_nonzero(useful))),
    }


def _multiplicity(side: int) -> NDArray[np.float64]:
    """How often each frequency of a real transform stands for two, shape (side // 2 + 1,)."""
    counts = np.full(side // 2 + 1, 2.0)
    counts[0] = 1.0
    if side % 2 == 0:
        counts[-1] = 1.0
    return counts


FEATURES = (
    "relative_singular_value",
    "log_relative_singular_value",
    "log_excess",
    "log_rank",
    "gap_above",
    "gap_below",
    "log_patch_size",
    "row_share",
    "column_share",
    "neighbours_y",
    "neighbours_x",
    "row_level",
    "column_level",
    "log_noise_gain",
    "log_shared_gain",
    "log_signal_gain",
    "log_shared_signal",
    "log_useful",
)
