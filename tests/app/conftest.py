"""A real server: queue, API, dispatcher and worker, as `reucid serve` starts them."""

import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import numpy as np
import pytest
import tifffile
from numpy.typing import NDArray

PIXEL_SIZE = 0.02  # nm


@pytest.fixture(scope="session")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The server's data."""
    return tmp_path_factory.mktemp("data")


@pytest.fixture(scope="session")
def server(data: Path) -> Iterator[str]:
    command = [sys.executable, "-m", "app", "serve", "--port", "0", "--data-dir", str(data)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        url = next(word for word in process.stdout.readline().split() if "://" in word)
        _await_ready(url)
        yield url
        process.terminate()
        process.wait(30)


def _await_ready(url: str) -> None:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        try:
            if httpx.get(f"{url}/readyz", timeout=5).json()["status"] == "ok":
                return
        except (httpx.TransportError, ValueError):
            pass
        time.sleep(0.1)
    pytest.fail("the server was not ready within 60 s")


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
