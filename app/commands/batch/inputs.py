"""Which files are meant: those named, and the images in the folders named."""

import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePath

import typer

from worker.formats import FORMATS

MORE_SUFFIXES = (".mrcs", ".st", ".ali")  # of MRC
SUFFIXES = (*(end for each in FORMATS if each.reads for end in each.suffixes), *MORE_SUFFIXES)
OF_EMI = re.compile(r"(.+)_[0-9]+\.ser", re.IGNORECASE)


@dataclass(frozen=True)
class Source:
    """A file to denoise.

    Parameters
    ----------
    path : Path
        As it was named, so that messages name it alike.
    relative : PurePath
        Below the folder that all inputs have in common; results are named after it.
    """

    path: Path
    relative: PurePath


def sources(named: Sequence[Path], outside: Sequence[Path]) -> list[Source]:
    """Every file that is named or lies in a folder that is, once, in order.

    Parameters
    ----------
    named : sequence of Path
        Files of any name, and folders, of which the files with a suffix of images are taken.
    outside : sequence of Path
        Folders that are left out: those of the results.

    Raises
    ------
    typer.BadParameter
        When there is no such file, or no image in a folder.
    """
    files = {each.absolute(): each for each in named if not each.is_dir()}
    for path in files.values():
        if not path.is_file():
            raise typer.BadParameter(f"no file at {path}", param_hint="FILE")
    for folder in (each for each in named if each.is_dir()):
        found = list(images_in(folder, outside))
        if not found:
            message = f"no images in the folder {folder}: expected files in {', '.join(SUFFIXES)}"
            raise typer.BadParameter(message, param_hint="FILE")
        files |= {path.absolute(): path for path in found}
    parents = [each.absolute() if each.is_dir() else each.absolute().parent for each in named]
    root = Path(os.path.commonpath(parents))
    return [
        Source(path, where.relative_to(root))
        for where, path in _once(files).items()
        if not belongs_to_emi(path)
    ]


def _once(files: dict[Path, Path]) -> dict[Path, Path]:
    """Without those that are another one by another name."""
    by_place = {os.path.realpath(where): where for where in reversed(files)}
    kept = set(by_place.values())
    return {where: path for where, path in files.items() if where in kept}


def images_in(folder: Path, outside: Sequence[Path] = ()) -> Iterator[Path]:
    """Files with a suffix of images in a folder and those below it, in order of their names.

    What begins with a dot is left out, and folders that are links are not followed.
    """
    left_out = {os.path.realpath(each) for each in outside}
    for place, folders, names in os.walk(folder):
        folders[:] = sorted(
            name
            for name in folders
            if not name.startswith(".")
            and os.path.realpath(os.path.join(place, name)) not in left_out  # noqa: PTH118
        )
        for name in sorted(names):
            path = Path(place, name)
            is_image = not name.startswith(".") and path.suffix.lower() in SUFFIXES
            if is_image and not belongs_to_emi(path):
                yield path


def belongs_to_emi(path: Path) -> bool:
    """Whether a SER file is read with the EMI file beside it."""
    match = OF_EMI.fullmatch(path.name)
    return match is not None and any(
        path.with_name(match.group(1) + suffix).exists() for suffix in (".emi", ".EMI")
    )
