"""Levels of large signals, made once they are decoded, in a child with limits as decoding is."""

from pathlib import Path
from shutil import rmtree

import numpy as np
import structlog

from worker.contract import FileInfo, ImageInfo
from worker.decoding.apart import run_apart
from worker.decoding.sandbox import enter
from worker.pyramid.layout import Layout, beside, is_large, itself
from worker.pyramid.making import write
from worker.store import pixels_name

SECONDS = 60.0  # of one signal

log = structlog.get_logger()


def reduce_signals(folder: Path, info: FileInfo) -> None:
    """Write the levels of all large signals of an upload beside them.

    Whoever looks at such an image needs them at once. Where that fails there are none, and they are
    made when somebody looks: no image is refused for it.
    """
    for index, signal in enumerate(info.signals):
        if is_large(signal.shape):
            _reduce(folder, pixels_name(index), signal)


def _reduce(folder: Path, name: str, signal: ImageInfo) -> None:
    own = folder / "reducing"
    own.mkdir(mode=0o700)
    levels, tiles = beside(own / name)
    layout = Layout.of(signal.shape)
    try:
        status = run_apart(_in_child, (folder / name, levels, tiles, layout.levels_size), SECONDS)
        sizes = [path.stat().st_size for path in (levels, tiles)] if status == 0 else []
        if sizes != [layout.levels_size, layout.table_size]:
            log.warning("not_reduced", status=status, shape=signal.shape)
            return
        for path in (levels, tiles):
            path.rename(folder / path.name)
    finally:
        rmtree(own)


def _in_child(pixels: Path, levels: Path, tiles: Path, size: int) -> None:
    enter([pixels], levels.parent, SECONDS).admit(size)
    signal = np.load(pixels, mmap_mode="r")
    write(levels, [signal.reshape(Layout.of(signal.shape).shape)], itself, tiles)
