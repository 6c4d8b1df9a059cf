"""The bundled demonstration: a simulated low-dose micrograph of Si[110], and its truth.

``python -m reucid_core.training.micrographs.micrograph`` writes it anew.
"""

from pathlib import Path
from typing import Any

import numpy as np
import tifffile
from numpy.typing import NDArray

from reucid_core.training.micrographs.crystals import CRYSTALS
from reucid_core.training.micrographs.simulate import (
    View,
    detect,
    expose,
    place_columns,
    with_defect,
)

DOSE = 250.0  # e/A^2
VIEW = View(shape=(256, 256), sampling=0.2, fwhm=0.9, rotation=11.0, shift=(0.3, 0.1))
DEFECTS = (  # y and x in angstrom, weight relative to a perfect column
    ((16.0, 14.0), 0.0),
    ((34.0, 36.0), 0.0),
    ((18.0, 37.0), 1.6),
)
COUNTS_PER_ELECTRON = 100
BLACK_LEVEL = 500  # counts
SEED = 2025


def demonstration() -> tuple[NDArray[np.uint16], NDArray[np.float32]]:
    """Noisy micrograph and truth in detector counts, each of shape (256, 256).

    Two columns are vacant, one holds heavier atoms.
    """
    columns = place_columns(CRYSTALS["Si[110]"], VIEW)
    for place, gain in DEFECTS:
        columns = with_defect(columns, place, gain=gain)
    truth = expose(columns, VIEW)
    noisy = detect(truth, dose=DOSE, sampling=VIEW.sampling, rng=np.random.default_rng(SEED))
    gain = COUNTS_PER_ELECTRON * DOSE * VIEW.sampling**2  # counts at the truth's maximum
    counts = np.rint(BLACK_LEVEL + gain * noisy).clip(0, np.iinfo(np.uint16).max)
    return counts.astype(np.uint16), (BLACK_LEVEL + gain * truth).astype(np.float32)


def write_demonstration(folder: Path) -> list[Path]:
    """Write both as TIFF files that ImageJ opens to scale."""
    noisy, truth = demonstration()
    paths = [folder / "si110_low_dose.tif", folder / "si110_truth.tif"]
    _write(paths[0], noisy)
    _write(paths[1], truth)
    return paths


def _write(path: Path, image: NDArray[Any]) -> None:
    pixels_per_nm = 10 / VIEW.sampling
    tifffile.imwrite(
        path,
        image,
        imagej=True,
        resolution=(pixels_per_nm, pixels_per_nm),
        metadata={"unit": "nm"},
    )


if __name__ == "__main__":
    write_demonstration(Path("app") / "commands" / "demo")
