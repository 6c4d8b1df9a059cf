"""Micrographs and what denoisers make of them, side by side, as PNG files."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from textwrap import fill
from typing import TYPE_CHECKING

import numpy as np
import scipy.fft
import scipy.ndimage
from numpy.typing import NDArray

from reucid_core.eigenpatches import FloatArray
from reucid_core.metrics import psnr, whiteness
from reucid_core.training.showing.figures import BLACK, COLOURS, GREY, RED, WIDTH, figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes

REACH = 3.0  # standard deviations of a residual that the grey scale spans to both sides
TAIL = 0.2  # percent of the pixels, at either end, beyond the grey scale of an image
FLOOR, CEILING = 0.1, 1e4  # of a spectrum's grey scale, relative to the raw image's median power
STEPS = 4  # samples of a line profile per pixel
DETAIL = 128  # px
TITLE = 20  # letters in a line of it
EXPLANATION = "correlation: the largest\nat any lag but 0, over the\nbound for white noise"


@dataclass(frozen=True)
class Trial:
    """A simulated micrograph, and what denoisers made of it.

    Parameters
    ----------
    name : str
    truth, noisy : ndarray, shape (m, n)
    restored : mapping
        Images of the same shape and units by the denoiser's name.
    focus : (int, int), optional
        Row and column in px around which a detail is shown; by default the middle.
    """

    name: str
    truth: FloatArray
    noisy: FloatArray
    restored: Mapping[str, FloatArray]
    focus: tuple[int, int] | None = None


def comparison(
    trials: Sequence[Trial], path: Path, *, residuals: Sequence[str] = (), side: int = DETAIL
) -> None:
    """A page: a row for each micrograph, with one grey scale, that of its truth.

    The captions' PSNR is that of the whole image.

    Parameters
    ----------
    trials : sequence of Trial
        All by the same denoisers.
    path : Path
    residuals : sequence of str
        Denoisers whose residuals (noisy - restored) are shown as well, on one scale for each row.
    side : int
        Of the detail that is shown, in px. Drawn smaller than they are, residuals would be
        averaged: white noise would fade, structure stay.
    """
    names = list(trials[0].restored)
    titles = ["truth", "noisy", *names, *(f"residual,\n{name}" for name in residuals)]
    height = (WIDTH / len(titles) + 0.2) * len(trials) + 0.4
    with figure(path, height) as drawn:
        grid = drawn.subplots(len(trials), len(titles), squeeze=False)
        for axes, title in zip(grid[0], titles, strict=True):
            axes.set_title(title)
        for row, trial in zip(grid, trials, strict=True):
            _compare(row, trial, residuals, side)


def _compare(row: "Sequence[Axes]", trial: Trial, residuals: Sequence[str], side: int) -> None:
    detail = _detail(trial.truth, side, trial.focus)
    scale = grey_scale(trial.truth)
    images = {"truth": trial.truth, "noisy": trial.noisy, **trial.restored}
    for axes, (name, image) in zip(row, images.items(), strict=False):
        caption = "" if name == "truth" else f"{psnr(image, trial.truth):.1f} dB"
        _show(axes, image[detail], scale, caption)
    row[0].set_ylabel(trial.name)
    reach = REACH * float(np.std(trial.noisy.astype(np.float64) - trial.truth))
    for axes, name in zip(row[len(images) :], residuals, strict=True):
        residual = trial.noisy.astype(np.float64) - trial.restored[name]
        _show(axes, residual[detail], (-reach, reach), f"$\\pm${reach:.2g}")


def profiles(
    trial: Trial,
    start: tuple[float, float],
    end: tuple[float, float],
    path: Path,
    *,
    shown: str | None = None,
    marks: Sequence[float] = (),
    sampling: float | None = None,
) -> None:
    """Intensities along a line, as the paper's Fig. 7, beside the image that it crosses.

    Parameters
    ----------
    trial : Trial
    start, end : (float, float)
        Row and column in px.
    path : Path
    shown : str, optional
        Denoiser whose image is shown; by default the noisy one is.
    marks : sequence of float
        Distances from the start, in px, that are marked: where a defect is.
    sampling : float, optional
        Side of a pixel in angstrom; without it distances are in px.
    """
    unit = sampling or 1.0
    image = trial.noisy if shown is None else trial.restored[shown]
    with figure(path, 4.8) as drawn:
        picture, chart = drawn.subplots(1, 2, width_ratios=(1, 2))
        _show(picture, image, grey_scale(trial.truth), shown or "noisy")
        picture.annotate(
            "", xytext=start[::-1], xy=end[::-1],
            arrowprops={"arrowstyle": "->", "color": RED, "shrinkA": 0, "shrinkB": 0},
        )  # fmt: skip
        distance, values = along(trial.noisy, start, end)
        chart.plot(unit * distance, values, color=GREY, linewidth=0.8, label="noisy")
        for number, (name, restored) in enumerate(trial.restored.items()):
            _, values = along(restored, start, end)
            colour = COLOURS[number % len(COLOURS)]
            # Ever thinner, so that none hides the one before.
            width = max(1.0, 3.2 - 0.9 * number)
            chart.plot(unit * distance, values, color=colour, linewidth=width, label=name)
        _, values = along(trial.truth, start, end)
        chart.plot(unit * distance, values, "--", color=BLACK, linewidth=1.0, label="truth")
        for mark in marks:
            chart.axvline(unit * mark, color=GREY, linewidth=0.8, linestyle=":")
        chart.set_xlabel(f"distance / {'px' if sampling is None else 'Å'}")
        chart.set_ylabel("intensity")
        chart.margins(x=0)
        chart.legend(
            loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=2 + len(trial.restored)
        )  # fmt: skip


@dataclass(frozen=True)
class Panel:
    """One picture of a grid.

    Parameters
    ----------
    image : ndarray, shape (m, n)
    scale : (float, float)
        Intensities shown black and white.
    title, caption, left : str
        Above, below and beside it.
    """

    image: FloatArray
    scale: tuple[float, float]
    title: str = ""
    caption: str = ""
    left: str = ""


def panels(rows: Sequence[Sequence[Panel]], path: Path, *, width: float = WIDTH) -> None:
    """Pictures in rows, which may be of different lengths; `width` in inches."""
    columns = max(map(len, rows))
    shape = rows[0][0].image.shape
    height = (width / columns * shape[0] / shape[1] + 0.35) * len(rows) + 0.2
    with figure(path, height, width=width) as drawn:
        for axes, row in zip(drawn.subplots(len(rows), columns, squeeze=False), rows, strict=True):
            for each, panel in zip(axes, row, strict=False):
                _show(each, panel.image, panel.scale, panel.caption)
                each.set_title(fill(panel.title, TITLE))
                each.set_ylabel(panel.left)
            for each in axes[len(row) :]:
                each.set_axis_off()


def line_page(
    noisy: FloatArray,
    restored: Mapping[str, FloatArray],
    ends: tuple[tuple[float, float], tuple[float, float]],
    path: Path,
    *,
    shown: str,
    truth: FloatArray | None = None,
) -> None:
    """The paper's Fig. 7: image, reconstruction, their difference, and intensities along a line.

    Parameters
    ----------
    noisy : ndarray, shape (m, n)
    restored : mapping
        Images of the same shape and units by the denoiser's name.
    ends : ((float, float), (float, float))
        Rows and columns in px.
    path : Path
    shown : str
        Whose image and difference are shown.
    truth : ndarray, shape (m, n), optional
    """
    image = restored[shown]
    residual = noisy.astype(np.float64) - image
    reach = REACH * float(residual.std())
    with figure(path, WIDTH) as drawn:
        (first, second), (third, chart) = drawn.subplots(2, 2)
        for axes, picture, title in ((first, noisy, "noisy"), (second, image, shown)):
            _show(axes, picture, grey_scale(image))
            axes.set_title(title)
            axes.annotate(
                "", xytext=ends[0][::-1], xy=ends[1][::-1],
                arrowprops={"arrowstyle": "->", "color": RED, "shrinkA": 0, "shrinkB": 0},
            )  # fmt: skip
        _show(third, residual, (-reach, reach), f"$\\pm${reach:.3g}")
        third.set_title("noisy - restored")
        distance, values = along(noisy, *ends)
        chart.plot(distance, values, color=GREY, linewidth=0.7, label="noisy")
        for number, (name, each) in enumerate(restored.items()):
            _, values = along(each, *ends)
            chart.plot(distance, values, color=COLOURS[number], linewidth=1.6, label=name)
        if truth is not None:
            _, values = along(truth, *ends)
            chart.plot(distance, values, "--", color=BLACK, linewidth=1.0, label="truth")
        chart.set_xlabel("distance / px")
        chart.set_ylabel("intensity")
        chart.margins(x=0)
        chart.legend(loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=2)


def along(
    image: FloatArray, start: tuple[float, float], end: tuple[float, float]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Distances from the start in px and intensities there, bilinear, each of shape (s,)."""
    length = float(np.hypot(end[0] - start[0], end[1] - start[1]))
    share = np.linspace(0, 1, max(2, round(STEPS * length) + 1))
    places = [first + share * (last - first) for first, last in zip(start, end, strict=True)]
    values: NDArray[np.float64] = scipy.ndimage.map_coordinates(
        image.astype(np.float64), places, order=1, mode="nearest"
    )
    return share * length, values


def experiment(
    raw: FloatArray, restored: Mapping[str, FloatArray], path: Path, *, side: int = 2 * DETAIL
) -> None:
    """A page for a micrograph without truth: images, residuals, and the power spectra of both.

    All images share a grey scale, all residuals (raw - restored) another, all spectra a third,
    logarithmic and relative to the raw image's median power.

    Parameters
    ----------
    raw : ndarray, shape (m, n)
    restored : mapping
        Images of the same shape and units by the denoiser's name.
    path : Path
    side : int
        Of the detail from the middle that is shown, in px; spectra are of the whole.
    """
    double = raw.astype(np.float64)
    residuals = {name: double - image for name, image in restored.items()}
    reach = REACH * max(float(np.std(residual)) for residual in residuals.values())
    scale, detail = grey_scale(double), _detail(double, side)
    floor = float(np.median(power_spectrum(double)))
    with figure(path, 4 * WIDTH / (1 + len(restored)) + 1.0) as drawn:
        grid = drawn.subplots(4, 1 + len(restored), squeeze=False)
        for column, (name, image) in zip(grid.T, {"raw": double, **restored}.items(), strict=True):
            column[0].set_title(fill(name.replace("_", " "), TITLE))
            _show(column[0], image[detail], scale)
            _show_spectrum(column[1], image, floor)
        for column, residual in zip(grid.T[1:], residuals.values(), strict=True):
            _show(column[2], residual[detail], (-reach, reach), _describe(residual))
            _show_spectrum(column[3], residual, floor)
        grid[0, 0].set_ylabel("image")
        grid[1, 0].set_ylabel("power spectrum")
        _write(grid[2, 0], f"residual\n= raw - restored\n$\\pm${reach:.3g}\n\n{EXPLANATION}")
        _write(grid[3, 0], "residual's\npower spectrum")


def power_spectrum(image: FloatArray) -> NDArray[np.float64]:
    """Power at each frequency under a Hann window, zero frequency in the middle, shape (m, n)."""
    window = np.outer(*(np.hanning(side) for side in image.shape))
    centred = (image - image.mean(dtype=np.float64)) * window
    power: NDArray[np.float64] = np.abs(scipy.fft.fftshift(scipy.fft.fft2(centred))) ** 2
    return power


def _describe(residual: NDArray[np.float64]) -> str:
    found = whiteness(residual)
    return f"sd {np.std(residual):.3g}, correlation {found.largest / found.bound:.1f}"


def _write(axes: "Axes", text: str) -> None:
    axes.set_axis_off()
    axes.text(1.0, 0.5, text, ha="right", va="center", transform=axes.transAxes)


def _show_spectrum(axes: "Axes", image: FloatArray, floor: float) -> None:
    relative = power_spectrum(image) / floor
    logs = np.log10(np.clip(relative, FLOOR, CEILING))
    _show(axes, logs, (np.log10(FLOOR), np.log10(CEILING)))


def _show(axes: "Axes", image: FloatArray, scale: tuple[float, float], caption: str = "") -> None:
    axes.imshow(image, cmap="gray", vmin=scale[0], vmax=scale[1])
    axes.set_xticks([])
    axes.set_yticks([])
    axes.set_xlabel(caption)
    axes.spines[:].set_visible(False)


def grey_scale(image: FloatArray, tail: float = TAIL) -> tuple[float, float]:
    """Intensities shown black and white: all but `tail` percent of the pixels at either end."""
    low, high = np.percentile(image, [tail, 100 - tail])
    return float(low), float(high)


def _detail(
    image: FloatArray, side: int, focus: tuple[int, int] | None = None
) -> tuple[slice, slice]:
    """A window of at most `side` px to either side, wholly within the image."""
    middle = focus or (image.shape[0] // 2, image.shape[1] // 2)
    first = [
        int(np.clip(at - side // 2, 0, max(length - side, 0)))
        for at, length in zip(middle, image.shape, strict=True)
    ]
    return slice(first[0], first[0] + side), slice(first[1], first[1] + side)
