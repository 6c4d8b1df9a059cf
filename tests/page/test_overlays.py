"""What the report names is shown over the images, each kind with a switch."""

from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest

from tests.page.browsers import Visit
from tests.page.conftest import submit

SIDE = 192
HOT = [(20, 31), (100, 150), (140, 60)]
VIEWS = ("raw", "denoised", "residual")


@pytest.fixture(scope="module")
def marked(api: httpx.Client, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Any]:
    """A job on a lattice with hot pixels, and what its report says of them."""
    waves = [1 + np.cos(2 * np.pi * np.arange(SIDE) / period) for period in (12, 11)]
    image = np.random.default_rng(2).poisson(20 + 10 * np.outer(*waves)).astype(np.uint16)
    for row, column in HOT:
        image[row, column] = 4000
    path: Path = tmp_path_factory.mktemp("hot") / "hot.npy"
    np.save(path, image)
    job = submit(api, path, method="two-scale")
    outliers = api.get(f"/jobs/{job}/report").json()["outliers"]
    assert list(zip(outliers["rows"], outliers["columns"], strict=True)) == HOT
    return job, outliers


def ring(visit: Visit, view: str, row: int, column: int) -> np.ndarray[Any, Any]:
    """Colours around a pixel, where its ring is: 5 px of the screen from its centre."""
    width = visit.page.locator(f"canvas[aria-label='{view}']").bounding_box()["width"]
    across, down = (column + 0.5) / SIDE, (row + 0.5) / SIDE
    return np.array([visit.colour(view, across + 5 * side / width, down) for side in (-1, 1)])


def test_hot_pixels_are_marked_where_they_are(visit: Visit, marked: tuple[str, Any]) -> None:
    job, _ = marked
    visit.go(f"#/job/{job}")
    for name in VIEWS:
        visit.wait_for(name)
    switch = visit.page.get_by_role("button", name="Hot pixels")
    switch.wait_for()
    visit.shot("hot-pixels")
    assert switch.get_attribute("aria-pressed") == "true"
    visit.drawn()
    on = {(name, place): ring(visit, name, *place) for name in VIEWS for place in HOT}
    for colours in on.values():
        assert (colours[:, 0] > colours[:, 1] + 60).all(), "a red ring"
    switch.click()
    visit.drawn()
    assert switch.get_attribute("aria-pressed") == "false"
    for (name, place), colours in on.items():
        off = ring(visit, name, *place)
        assert (np.abs(off - colours).max(axis=1) > 30).all()
        if name != "residual":
            assert (np.ptp(off, axis=1) == 0).all(), "gray"
    visit.press("o")
    assert switch.get_attribute("aria-pressed") == "true"


def test_an_image_without_them_offers_none(visit: Visit, job: str) -> None:
    visit.go(f"#/job/{job}")
    visit.wait_for("denoised")
    assert not visit.page.get_by_role("button", name="Hot pixels").is_visible()
