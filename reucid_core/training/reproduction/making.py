"""Everything, or some parts, into a folder."""

import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from reucid_core.eigenpatches import FloatArray
from reucid_core.training.reproduction import (
    answers,
    doses,
    eigenvalues,
    lines,
    page,
    rivals,
)
from reucid_core.training.reproduction.parts import Part


def reproduce(
    folder: Path,
    names: Sequence[str],
    *,
    beside: Mapping[str, FloatArray],
    micrographs: Mapping[str, FloatArray],
    command: str,
    progress: Callable[[Part, float], None],
) -> Path:
    """Make some of `parts.NAMES` in a folder: pictures, CSV and one page.

    The same names give the same pictures and tables on one machine.

    Parameters
    ----------
    folder : Path
        Exists; files of the same names are replaced.
    names : sequence of str
    beside : mapping
        What other programs made of Fig. 6's micrograph, shape (256, 256), by their names.
    micrographs : mapping
        Real images of which Fig. 7 is made as well, shape (m, n), by the names of their files.
    command : str
        For the page.
    progress : callable
        Called with each part that is done, and the seconds it took.

    Returns
    -------
    Path
        The page.

    Raises
    ------
    ImageError
        When an image of `beside` cannot be of Fig. 6's micrograph, or one of `micrographs` cannot
        be denoised.
    ImportError
        Where matplotlib or scikit-image is not installed.
    """
    if beside:
        rivals.check_beside(beside)
    lines.check_micrographs(micrographs)
    made: dict[str, Callable[[Path], Part]] = {
        "fig2": eigenvalues.make,
        "fig4": answers.make,
        "fig5": doses.make_figure,
        "fig6": lambda into: rivals.make(into, beside),
        "fig7": lambda into: lines.make(into, micrographs),
        "table1": doses.make_table,
    }
    parts, seconds = [], []
    for name in names:
        started = time.monotonic()
        part = made[name](folder)
        for table in part.tables:
            table.write(folder)
        parts.append(part)
        seconds.append(time.monotonic() - started)
        progress(part, seconds[-1])
    return page.write(parts, seconds, folder, command)
