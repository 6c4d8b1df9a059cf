"""A real server: queue, API, dispatcher and worker, as `reucid serve` starts them."""

from collections.abc import Iterator
from pathlib import Path

import httpx
import numpy as np
import pytest
import tifffile
from numpy.typing import NDArray

from tests.support.lattices import PIXEL_SIZE
from tests.support.servers import served


@pytest.fixture(scope="session")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The server's data."""
    return tmp_path_factory.mktemp("data")


@pytest.fixture(scope="session")
def server(data: Path) -> Iterator[str]:
    with served(data, REUCID_LIVE_WORKERS="1") as server:
        yield server.url


@pytest.fixture
def api(server: str) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=f"{server}/v1", timeout=70) as client:
        yield client


@pytest.fixture(scope="session")
def micrograph() -> NDArray[np.uint16]:
    """A noisy lattice of 80 x 96 px, 16 bits, every session the same."""
    rng = np.random.default_rng(7)
    y, x = np.mgrid[:80, :96]
    lattice = (1 + np.cos(2 * np.pi * x / 12)) * (1 + np.cos(2 * np.pi * y / 12))
    return rng.poisson(20 * lattice + 40).astype(np.uint16)


@pytest.fixture(scope="session")
def tiff(micrograph: NDArray[np.uint16], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The micrograph as ImageJ would save it, with its pixel size."""
    path = tmp_path_factory.mktemp("input") / "micrograph.tif"
    tifffile.imwrite(
        path,
        micrograph,
        imagej=True,
        resolution=(1 / PIXEL_SIZE, 1 / PIXEL_SIZE),
        metadata={"unit": "nm"},
    )
    return path
