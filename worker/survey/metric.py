"""Metrics measured by a survey's answers, and labels of images that nobody was asked about."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from reucid_core.eigenpatches import Decomposition, FloatArray
from reucid_core.errors import SurveyError
from reucid_core.training.labels.alpha_metrics import (
    Comparison,
    Curves,
    check_truth,
    curves_of,
    label_by_metric,
)
from reucid_core.training.labels.ief import leading
from reucid_core.training.labels.oracle import Components
from reucid_core.training.labels.survey import SurveyImage, options_of
from worker.denoising.selection import Selection, read_image
from worker.survey import manifest
from worker.survey.collect import answered, decomposition, labelled, write_labels

TOLERANCE = 1e-3  # of an eigenvalue, relative to the largest


@dataclass(frozen=True)
class Measured:
    """A survey's answers beside the metrics.

    Parameters
    ----------
    comparison : Comparison
        Of the images with both answers and a truth.
    left_out : list of str
        Images without either.
    """

    comparison: Comparison
    left_out: list[str]


def measure(folder: Path, files: Sequence[Path], truths: Mapping[str, Path]) -> Measured:
    """Compare the metrics with a survey's answers, and fit the edited one.

    Parameters
    ----------
    folder : Path
        What `reucid survey export` made.
    files : sequence of Path
        Answers, CSV.
    truths : mapping
        Files with the truth of images, by the images' names.

    Raises
    ------
    SurveyError
        Also when fewer than two images have answers and a truth.
    """
    about, collected = answered(folder, files)
    names, curves, answers, left_out = [], [], [], []
    for n, (entry, found) in enumerate(zip(about.images, collected, strict=True), start=1):
        if found.choice is None or found.image not in truths:
            left_out.append(found.image)
            continue
        decomposed = decomposition(folder, n, entry)
        noisy = _noisy(folder, n, decomposed)
        curves.append(_curves(found.image, decomposed, noisy, truths[found.image], found.offered))
        names.append(found.image)
        answers.append(found.choice.mean)
    if len(names) < 2:
        raise SurveyError(
            f"got {len(names)} image{'s' * (len(names) != 1)} with answers and a truth, expected "
            "at least 2: state the folder of the truths, whose files are named as the images"
        )
    return Measured(Comparison.of(names, curves, answers), left_out)


def label_more(
    folder: Path,
    files: Sequence[Path],
    more: Sequence[Path],
    truths: Mapping[str, Path],
    output: Path,
    *,
    base: float,
    patch_size: int | None,
    patch_size_from: str | None,
    most: int,
    progress: Callable[[SurveyImage], None],
) -> int:
    """Write the survey's labels together with those of more images, by IEF / c^alpha.

    Parameters
    ----------
    folder, files, truths
        As `measure` takes them.
    more : sequence of Path
        Images to label, each with a truth.
    output : Path
        As `collect` writes it; whole or not at all.
    base : float
        c.
    patch_size : int, optional
    patch_size_from : str, optional
        Of those images, as `options_of` takes them.
    most : int
        The largest alpha.
    progress : callable
        Called after each of them.

    Returns
    -------
    int
        Images in the file.

    Raises
    ------
    SurveyError
    """
    about, collected = answered(folder, files)
    images = labelled(folder, about, collected)
    for file in more:
        if file.name in {each.image for each in images}:
            raise SurveyError(f"got {file.name} to label, which has labels: name another image")
        if file.name not in truths:
            raise SurveyError(f"got no truth of {file.name}, expected a file of that name")
        pixels, _ = read_image(file, Selection())
        options = options_of(
            pixels, patch_size=patch_size, patch_size_from=patch_size_from, most=most
        )
        truth = truths[file.name]
        curves = _curves(file.name, options.decomposition, options.noisy, truth, options.most)
        images.append(label_by_metric(file.name, options.decomposition, curves, base=base))
        progress(images[-1])
    write_labels(images, about, output)
    return len(images)


def _curves(name: str, found: Decomposition, noisy: FloatArray, truth: Path, most: int) -> Curves:
    wanted, _ = read_image(truth, Selection())
    check_truth(name, noisy, wanted)
    return curves_of(found, noisy, wanted, most=most)


def _noisy(folder: Path, n: int, decomposed: Decomposition) -> FloatArray:
    """The pixels that were exported, if they are those that were decomposed."""
    path = folder / manifest.numbers(n) / "noisy.tif"
    if not path.is_file():
        raise SurveyError(f"{path}: no such file: the survey's folder is incomplete")
    noisy, _ = read_image(path, Selection())
    energies = Components.of(leading(decomposed, 1), noisy.astype(np.float64)).energies
    expected = float(decomposed.singular_values[0]) ** 2
    if abs(float(energies[0]) - expected) > TOLERANCE * expected:
        raise SurveyError(f"{path}: not the image that was decomposed: export the survey anew")
    return noisy
