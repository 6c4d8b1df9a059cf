"""Micrographs -> a folder with everything that a survey needs."""

import hashlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from PIL import Image

from reucid_core.eigenpatches import FloatArray
from reucid_core.errors import SurveyError
from reucid_core.report import library_versions
from reucid_core.training.labels.survey import Options, blinded, options_of
from reucid_core.training.labels.survey_files import decomposition_bytes
from worker import formats
from worker.contract import ImageInfo
from worker.decoding.inspection import companions_of
from worker.denoising.selection import Chosen, Selection, read_image
from worker.formats.picture import DISPLAY_PERCENTILES, grays
from worker.store import sha256_of
from worker.survey import manifest, page
from worker.survey.manifest import ImageEntry, Manifest

VERSION = 1  # of the folder's layout


def export(
    files: Sequence[Path],
    folder: Path,
    *,
    selection: Selection,
    patch_size: int | None,
    patch_size_from: str | None = None,
    most: int,
    blind: bool,
    seed: int,
    progress: Callable[[ImageEntry], None],
) -> Manifest:
    """Write the options of some micrographs, a page to choose on, and what makes labels of answers.

    Parameters
    ----------
    files : sequence of Path
        Any readable files.
    folder : Path
        New or empty; written whole or not at all.
    selection : Selection
        Which signal and frame of the files.
    patch_size : int, optional
    patch_size_from : str, optional
        As `options_of` takes them.
    most : int
        Eigenpatches in the largest reconstruction.
    blind : bool
        Show the options in random order, without their numbers.
    seed : int
        Of that order.
    progress : callable
        Called after each image.

    Raises
    ------
    SurveyError
        When the folder holds something, or two files have one name.
    FormatError, ReucidError
        When a file cannot be read or decomposed.
    """
    _check_names(files)
    rng = np.random.default_rng(seed)
    images = []
    with _new_folder(folder) as new:
        for n, file in enumerate(files, start=1):
            pixels, chosen = read_image(file, selection)
            options = options_of(
                pixels, patch_size=patch_size, patch_size_from=patch_size_from, most=most
            )
            order = blinded(options.most, rng=rng) if blind else list(range(1, options.most + 1))
            images.append(_write(new, n, file, chosen, options, order))
            progress(images[-1])
        about = Manifest(VERSION, blind, seed, library_versions(), images)
        (new / manifest.MANIFEST).write_bytes(manifest.to_json(about))
        (new / manifest.PAGE / "index.html").write_text(page.html(about), encoding="utf-8")
    return about


def _check_names(files: Sequence[Path]) -> None:
    """Answers know an image by its name."""
    names = [file.name for file in files]
    for name in names:
        if names.count(name) > 1:
            raise SurveyError(
                f"got {names.count(name)} files named {name}, expected different names: answers "
                "know an image by its name; rename one"
            )


@contextmanager
def _new_folder(folder: Path) -> Iterator[Path]:
    """A folder that takes its place when the block succeeds."""
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise SurveyError(f"{folder}: got a folder or file with contents, expected a new folder")
    folder.parent.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(prefix=".survey-", dir=folder.parent) as name:
        new = Path(name) / "survey"
        new.mkdir()
        yield new
        new.rename(folder)


def _write(
    new: Path, n: int, file: Path, chosen: Chosen, options: Options, order: list[int]
) -> ImageEntry:
    """All files of an image."""
    pictures, numbers = new / manifest.pictures(n), new / manifest.numbers(n)
    for path in (pictures, numbers):
        path.mkdir(parents=True)
    # One stretch for all, by the reconstruction that holds most; that of the noisy image would show
    # the others without contrast at a low dose.
    shown = _stretch(options.reconstruction(options.most))
    _write_image(options.noisy, chosen.info, shown, numbers / "noisy.tif", pictures / "noisy.png")
    for alpha, image in options.reconstructions():
        picture = pictures / manifest.option_name(order.index(alpha) + 1)
        _write_image(image, chosen.info, shown, numbers / f"alpha-{alpha:02d}.tif", picture)
    stored = decomposition_bytes(options.decomposition)
    (new / manifest.decomposition_of(n)).write_bytes(stored)
    height, width = options.noisy.shape
    return ImageEntry(
        image=file.name,
        sha256=sha256_of(file),
        companions={each.name: sha256_of(each) for each in companions_of(file)},
        signal=chosen.index,
        title=chosen.info.title,
        frame=chosen.frame,
        shape=(height, width),
        dtype=chosen.info.dtype,
        pixel_size=chosen.info.pixel_size,
        unit=chosen.info.unit,
        patch_size=options.decomposition.patch_size,
        patch_size_origin=options.patch_size_origin,
        components=len(options.decomposition.eigenpatches),
        order=order,
        shown=shown,
        decomposition_sha256=hashlib.sha256(stored).hexdigest(),
    )


def _stretch(image: FloatArray) -> tuple[float, float]:
    low, high = np.percentile(image, DISPLAY_PERCENTILES)
    return float(low), float(high)


def _write_image(
    image: FloatArray, info: ImageInfo, shown: tuple[float, float], numbers: Path, picture: Path
) -> None:
    plain = replace(info, metadata={}, shape=image.shape)  # the same 26 times over
    formats.write(numbers, image.astype(np.float32), plain, "tiff")
    Image.fromarray(grays(image, *shown)).save(picture, format="PNG")
