"""Fig. 7: a line through columns, beside Gaussian smoothing; simulated and of a real image."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from reucid_core.eigenpatches import FloatArray
from reucid_core.errors import ImageError
from reucid_core.image import as_working_image
from reucid_core.training.judging.case import DEFECTS
from reucid_core.training.judging.scores import defects_in
from reucid_core.training.micrographs.recipes import micrograph, pristine
from reucid_core.training.reproduction.denoisers import (
    PAPER,
    by_reucid,
    gaussian_as_strong,
)
from reucid_core.training.reproduction.parts import Part, Row, Table
from reucid_core.training.reproduction.specimens import SILICON, recipe_of
from reucid_core.training.showing.gallery import PROFILE, line_through
from reucid_core.training.showing.pictures import along, line_page

DOSE = 1000.0
GAUSSIAN = "Gaussian, {:.1f} px"

Float64 = NDArray[np.float64]
Ends = tuple[tuple[float, float], tuple[float, float]]


@dataclass(frozen=True)
class Line:
    """An image with a line, and what denoisers made of it.

    Parameters
    ----------
    noisy : ndarray, shape (m, n)
    restored : mapping
        Images of the same shape by the denoisers' names.
    ends : ((float, float), (float, float))
        Rows and columns in px.
    truth : ndarray, shape (m, n), optional
    """

    noisy: Float64
    restored: Mapping[str, Float64]
    ends: Ends
    truth: Float64 | None = None

    @property
    def images(self) -> dict[str, Float64]:
        """All of them, the noisy one first and the truth last, where there is one."""
        known = {} if self.truth is None else {"truth": self.truth}
        return {"noisy": self.noisy, **self.restored, **known}


def make(folder: Path, micrographs: Mapping[str, FloatArray]) -> Part:
    """The bundled field, and each of some real images."""
    lines = {"fig7": simulated()}
    lines |= {f"fig7-{Path(name).stem}": real(image) for name, image in micrographs.items()}
    tables, pictures = [], {}
    for name, line in lines.items():
        line_page(
            line.noisy, line.restored, line.ends, folder / f"{name}.png",
            shown=PAPER, truth=line.truth,
        )  # fmt: skip
        pictures[f"{name}.png"] = (
            "Noisy, restored by the paper's method, their difference, and intensities along the "
            "line."
        )
        tables += [_figures(name, line), _profile(name, line)]
    return Part(
        "fig7",
        "Fig. 7: a line profile beside Gaussian smoothing",
        "Copper heterostructures on black phosphorus, the reconstruction, the difference, and a "
        "line whose peaks are sharper than with Gaussian smoothing.",
        [
            "The paper's image is not at hand; `--micrograph FILE` shows yours in its place. Its "
            "line is that through the middle of the image which meets the brightest columns.",
            "The paper does not say how wide its Gaussian is. Ours takes as much away as REUCID by "
            "the paper's method does: the residuals have the same standard deviation.",
            "Contrast: standard deviation along the line over that of the noisy image, or of the "
            "truth where it is known; more is not better if it is noise.",
        ],
        pictures,
        tables,
    )


def check_micrographs(micrographs: Mapping[str, FloatArray]) -> None:
    """Refuse what cannot be denoised, before anything is made.

    Raises
    ------
    ImageError
    """
    for name, image in micrographs.items():
        try:
            as_working_image(image, "auto")
        except ImageError as error:
            raise ImageError(f"{name}: {error}") from error


def simulated() -> Line:
    """Si[110] with an empty column, through which the line goes."""
    recipe = recipe_of(SILICON, DOSE)
    images = micrograph(recipe, DEFECTS)
    place = defects_in(images.specimen - pristine(recipe, DEFECTS))[0].place
    ends = line_through(images.specimen, place, reach=_reach(images.noisy))
    return _line(images.noisy, ends, images.specimen)


def real(image: FloatArray) -> Line:
    """Without truth; the line is chosen by what the paper's method makes of it."""
    noisy = image.astype(np.float64)
    middle = (noisy.shape[0] // 2, noisy.shape[1] // 2)
    line = _line(noisy, ((0.0, 0.0), (0.0, 0.0)), None)
    ends = line_through(line.restored[PAPER], middle, reach=_reach(noisy))
    return Line(noisy, line.restored, ends)


def _reach(image: FloatArray) -> float:
    """Of a line to either side, in px: long enough for several columns, and within the image."""
    side = min(image.shape)
    return float(min(max(PROFILE, side / 4), side / 2 - 1))


def _line(noisy: Float64, ends: Ends, truth: Float64 | None) -> Line:
    restored = by_reucid(noisy)
    smoothed, sigma = gaussian_as_strong(noisy, restored[PAPER])
    return Line(noisy, restored | {GAUSSIAN.format(sigma): smoothed}, ends, truth)


def _figures(name: str, line: Line) -> Table:
    profiles = {each: along(image, *line.ends)[1] for each, image in line.images.items()}
    reference = profiles["noisy" if line.truth is None else "truth"]
    rows: list[Row] = []
    for each, values in profiles.items():
        row: Row = [each, float(values.std() / reference.std())]
        if line.truth is not None:
            error = float(np.sqrt(np.mean((values - reference) ** 2)) / np.ptp(reference))
            row.append(100 * error)
        rows.append(row)
    head = ["image", "contrast"] + ([] if line.truth is None else ["error / % of the range"])
    return Table(f"{name}-figures", f"{name}: along the line", head, rows)


def _profile(name: str, line: Line) -> Table:
    distance, _ = along(line.noisy, *line.ends)
    profiles = [along(image, *line.ends)[1] for image in line.images.values()]
    rows = np.column_stack([distance, *profiles]).tolist()
    return Table(name, "Profile", ("distance / px", *line.images), rows, shown=False)
