"""A file on this machine, decoded as the server would; without torch."""

import re
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from numpy.typing import NDArray

from reucid_core.errors import ImageError
from worker import decoder
from worker.contract import FileInfo
from worker.selection import Chosen, Selection
from worker.settings import Settings
from worker.store import pixels_name


def inspect_file(path: Path) -> FileInfo:
    """What is in a file."""
    with TemporaryDirectory(prefix="reucid-") as folder:
        return decode_file(path, Path(folder), Settings())


def read_image(path: Path, selection: Selection) -> tuple[NDArray[Any], Chosen]:
    """The pixels of one image of a file, shape (m, n).

    Raises
    ------
    ImageError
        When a stack was chosen as a whole.
    """
    with TemporaryDirectory(prefix="reucid-") as folder:
        contents = decode_file(path, Path(folder), Settings())
        chosen = selection.of(contents)
        pixels = chosen.pixels_of(np.load(Path(folder) / pixels_name(chosen.index)))
    if pixels.ndim == 3:
        raise ImageError(
            f"{path.name}: got a stack of {len(pixels)} frames, expected one image: choose a frame"
        )
    return pixels, chosen


def decode_file(path: Path, folder: Path, settings: Settings) -> FileInfo:
    """Decode a file, with those that belong to it, into a folder."""
    limits = decoder.Limits(settings.max_pixels, settings.decode_timeout_s)
    return decoder.decode(path.resolve(strict=True), folder, limits, companions_of(path))


def companions_of(path: Path) -> list[Path]:
    """The SER files that belong to an EMI file, by TIA's rule: NAME_1.ser beside NAME.emi."""
    path = path.resolve()
    if path.suffix.lower() != ".emi":
        return []
    name = re.compile(re.escape(path.stem) + r"_(\d+)\.ser", re.IGNORECASE)
    found = [(name.fullmatch(each.name), each) for each in path.parent.iterdir()]
    return [each for _, each in sorted((int(m.group(1)), each) for m, each in found if m)]
