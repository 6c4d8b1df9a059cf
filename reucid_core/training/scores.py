"""All figures of one reconstruction whose truth is known."""

from collections.abc import Sequence

import numpy as np

from reucid_core.eigenpatches import FloatArray
from reucid_core.metrics import ief, lattice_peak, psnr, whiteness

REACH = 6  # px around a defect


def metrics_of(
    restored: FloatArray,
    noisy: FloatArray,
    truth: FloatArray,
    pristine: FloatArray | None = None,
    defects: Sequence[tuple[float, float]] = (),
    *,
    reach: int = REACH,
) -> dict[str, float]:
    """The evaluation's figures of merit.

    Parameters
    ----------
    restored, noisy, truth : ndarray, shape (m, n)
        In the same intensity units.
    pristine : ndarray, shape (m, n), optional
        The truth without defects; asked for with `defects`.
    defects : sequence of (float, float)
        Row and column in px.
    reach : int
        Half width of the window around a defect in px.

    Returns
    -------
    dict
        `psnr` in dB; `ssim`; `ief`; `whiteness`, the residual's largest autocorrelation, and
        `lattice_peak`, the highest peak of its spectrum, both over their bounds for white noise
        (above 1 there is structure); with defects `defect_contrast`, the mean over them.
    """
    if len(defects) and pristine is None:
        raise ValueError("got defects without `pristine`, expected the truth without them")
    residual = noisy.astype(np.float64) - restored
    correlation, peak = whiteness(residual), lattice_peak(residual)
    figures = {
        "psnr": psnr(restored, truth),
        "ssim": ssim(restored, truth),
        "ief": ief(noisy, restored, truth),
        "whiteness": correlation.largest / correlation.bound,
        "lattice_peak": peak.height / peak.bound,
    }
    if len(defects) and pristine is not None:
        contrasts = [
            defect_contrast(restored, truth, pristine, place, reach=reach) for place in defects
        ]
        figures["defect_contrast"] = float(np.mean(contrasts))
    return figures


def ssim(image: FloatArray, truth: FloatArray) -> float:
    """Structural similarity, with the truth's range; needs scikit-image (extra `bench`).

    Gaussian weights of 1.5 px, as Wang, Bovik, Sheikh, Simoncelli, IEEE Trans. Image Process. 13,
    600 (2004), DOI 10.1109/TIP.2003.819861.
    """
    from skimage.metrics import structural_similarity

    return float(
        structural_similarity(
            image.astype(np.float64),
            truth.astype(np.float64),
            data_range=float(np.ptp(truth)),
            gaussian_weights=True,
            sigma=1.5,
            use_sample_covariance=False,
        )
    )


def defect_contrast(
    restored: FloatArray,
    truth: FloatArray,
    pristine: FloatArray,
    place: tuple[float, float],
    *,
    reach: int = REACH,
) -> float:
    """Share of a point defect's contrast that survives: 1 unchanged, 0 gone.

    sum(d r) / sum(d^2) in a window around the defect, with d = truth - pristine and
    r = restored - pristine. What blurs or brightens the perfect lattice there counts as well.
    """
    row, column = (round(at) for at in place)
    window = np.s_[
        max(row - reach, 0) : max(row + reach + 1, 0),
        max(column - reach, 0) : max(column + reach + 1, 0),
    ]
    expected = truth[window].astype(np.float64) - pristine[window]
    energy = float(np.sum(expected**2))
    if energy == 0.0:
        raise ValueError(
            f"got a place {place} where truth and pristine agree, expected a defect within "
            f"{reach} px: rows first, in px"
        )
    return float(
        np.sum(expected * (restored[window].astype(np.float64) - pristine[window])) / energy
    )
