"""Levels of a large result and its residual, written by whoever has just made it."""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from worker.denoising.artifacts import RESULT
from worker.denoising.selection import as_stack
from worker.pyramid.layout import beside, difference, is_large, itself
from worker.pyramid.making import write

RESIDUAL = "residual.npy"  # there is no such file: it is the noisy image minus the result


def reduce_result(folder: Path, noisy: NDArray[Any]) -> tuple[str, ...]:
    """Write the levels of a large result, and of its residual, beside it; the files' names.

    A result is looked at as soon as it is there; read from the levels, the whole of a large one is
    on the screen at once. They are not evidence: a bundle does not hold them.
    """
    if not is_large(noisy.shape):
        return ()
    denoised = as_stack(np.load(folder / RESULT, mmap_mode="r"))
    made = []
    for name, sources, combine in (
        (RESULT, [denoised], itself),
        (RESIDUAL, [denoised, as_stack(noisy)], difference),
    ):
        levels, tiles = beside(folder / name)
        write(levels, sources, combine, tiles)
        made += [levels.name, tiles.name]
    return tuple(made)
