"""Fig. 6: REUCID beside others, and what each takes away."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import tifffile

from reucid_core.eigenpatches import FloatArray
from reucid_core.errors import ImageError
from reucid_core.training.judging.case import DEFECTS
from reucid_core.training.judging.rivals import BM3D
from reucid_core.training.micrographs.recipes import Micrograph, micrograph
from reucid_core.training.reproduction.denoisers import WITHOUT_BM3D, Merits, by_all
from reucid_core.training.reproduction.parts import Part, Table
from reucid_core.training.reproduction.specimens import PEROVSKITE, noise_of, recipe_of
from reucid_core.training.showing.pictures import REACH, Panel, grey_scale, panels

DOSE = 500.0
NOISY, TRUTH = "fig6-noisy.tif", "fig6-truth.tif"
CLOSE = 0.5  # correlation with the truth, below which an image is of something else


def benchmark() -> Micrograph:
    """The micrograph that all are shown: SrTiO3[100], an empty and a half empty column."""
    return micrograph(recipe_of(PEROVSKITE, DOSE), DEFECTS)


def check_beside(beside: Mapping[str, FloatArray]) -> None:
    """Refuse what nobody can have made of `fig6-noisy.tif`.

    Raises
    ------
    ImageError
    """
    truth = benchmark().specimen
    for name, image in beside.items():
        if image.shape != truth.shape:
            raise ImageError(
                f"{name}: got an image of {image.shape} px, expected {truth.shape}: what a program "
                f"made of {NOISY}"
            )
        if not np.isfinite(image).all() or np.ptp(image) == 0:
            raise ImageError(f"{name}: got an image without contrast or with values not finite")
        found = float(np.corrcoef(image.astype(np.float64).ravel(), truth.ravel())[0, 1])
        if found < CLOSE:
            raise ImageError(
                f"{name}: got an image that correlates with the truth by {found:.2f}, expected "
                f"{CLOSE:g} at least: is it made of {NOISY}?"
            )


def make(folder: Path, beside: Mapping[str, FloatArray]) -> Part:
    """Images and residuals of all, on one grey scale each, and their figures."""
    recipe = recipe_of(PEROVSKITE, DOSE)
    images = benchmark()
    noisy, truth = images.noisy, images.specimen
    for name, image in ((NOISY, noisy), (TRUTH, truth)):
        tifffile.imwrite(folder / name, image.astype(np.float32))
    restored = by_all(noisy, noise_of(recipe, images), beside)
    merits = {name: Merits.of(image, noisy, truth) for name, image in restored.items()}
    scale = grey_scale(truth)
    reach = REACH * float(np.std(noisy - truth))
    above = [Panel(noisy, grey_scale(noisy), "noisy", left="image")]
    below = [Panel(noisy - truth, (-reach, reach), caption="the noise itself", left="residual")]
    for name, image in restored.items():
        found = merits[name]
        above.append(Panel(image, scale, name, f"{found.psnr:.1f} dB, SSIM {found.ssim:.3f}"))
        caption = f"signal in it: {100 * found.signal:.1f} %"
        below.append(Panel(noisy - image, (-reach, reach), caption=caption))
    above.append(Panel(truth, scale, "truth"))
    panels([above, below], folder / "fig6.png")
    head = ("method", "PSNR / dB", "SSIM", "IEF", "taken away / noise", "signal in the residual")
    rows = [[name, *vars(found).values()] for name, found in merits.items()]
    missing = [] if BM3D.installed else [WITHOUT_BM3D]
    network = (
        "A trained network is not bundled: let one denoise fig6-noisy.tif and give its output, in "
        "the same units, by `--beside`."
    )
    return Part(
        "fig6",
        "Fig. 6: REUCID beside others",
        "REUCID, the generative network of Lobato et al. and BM3D on one of the simulated images "
        "of Lobato et al., with residuals: noisy less restored.",
        [
            f"The micrograph is SrTiO3[100] at {DOSE:g} e/A^2 with an empty and a half empty "
            "column. BM3D is told gain and read noise, REUCID nothing.",
            *([] if beside else [network]),
            *missing,
            "Signal in the residual: what of the truth's contrast was taken away with the noise, 0 "
            "at best; below 0 the contrast was raised.",
        ],
        {"fig6.png": "One grey scale for all images but the noisy one, one for all residuals."},
        [Table("fig6", "Beside the truth", head, rows)],
        [NOISY, TRUTH],
    )
