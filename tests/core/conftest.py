from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import tifffile
from numpy.typing import NDArray
from PIL import Image
from threadpoolctl import threadpool_limits


@pytest.fixture(scope="session", autouse=True)
def one_thread() -> Iterator[None]:
    """The same bits, and no crowd of threads, however many cores there are."""
    with threadpool_limits(1):
        yield


@pytest.fixture(scope="session")
def read_image() -> Callable[[Path], NDArray[np.float64]]:
    """A reader of single-channel TIFF and PNG files."""

    def read(path: Path) -> NDArray[np.float64]:
        if path.suffix == ".tif":
            return tifffile.imread(path).astype(np.float64)
        with Image.open(path) as picture:
            return np.asarray(picture.convert("F"), dtype=np.float64)

    return read
