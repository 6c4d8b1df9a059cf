"""A browser without WebGL2: pictures from the server, and numbers that are exact all the same."""

import re
from pathlib import Path
from typing import Any

import httpx
import numpy as np
from numpy.typing import NDArray

from tests.page.browsers import Visit
from tests.page.conftest import submit

NO_WEBGL = """const get = HTMLCanvasElement.prototype.getContext;
HTMLCanvasElement.prototype.getContext = function (kind, ...rest) {
  return kind === "webgl2" ? null : get.call(this, kind, ...rest);
};"""


def test_levels_beyond_the_pixels_are_drawn(
    visit: Visit, api: httpx.Client, tmp_path: Path
) -> None:
    """A residual whose pixels all lie within its levels is asked for from 0 % to 100 %."""
    waves = [np.cos(2 * np.pi * np.arange(128) / period) for period in (12, 11)]
    path = tmp_path / "strong.npy"
    np.save(path, np.random.default_rng(4).poisson(2000 + 1500 * np.outer(*waves)))
    job = submit(api, path, method="paper", patch_size=7)
    visit.page.add_init_script(NO_WEBGL)
    with visit.page.expect_response(re.compile(r"/residual\?.*=0(\.0*)?%2C100(\.0*)?&")) as told:
        visit.go(f"#/job/{job}")
    assert told.value.status == 200
    visit.wait_for("residual")


def test_the_server_draws(visit: Visit, job: str, numbers: dict[str, NDArray[Any]]) -> None:
    visit.page.add_init_script(NO_WEBGL)
    pictures: list[str] = []
    visit.page.on("request", lambda request: pictures.append(request.url))
    visit.go(f"#/job/{job}")
    visit.page.get_by_text("This browser has no WebGL2").wait_for()
    for name in ("raw", "denoised", "residual"):
        visit.wait_for(name)
    assert {each.split("/")[-1].split("?")[0] for each in pictures if "format=png" in each} == {
        "input",
        "result",
        "residual",
    }
    for _ in range(8):
        visit.press("+")
    visit.page.locator("canvas[aria-label='raw']").focus()
    visit.press("Shift+ArrowRight")
    assert "row 128, column 129" in visit.value("place")
    assert np.float32(visit.value("denoised").split()[-1]) == numbers["denoised"][128, 129]
    bright, dark = numbers["denoised"].argmax(), numbers["denoised"].argmin()
    visit.press("0")
    shown = []
    for row, column in (np.unravel_index(each, (256, 256)) for each in (bright, dark)):
        shown.append(visit.colour("denoised", (column + 0.5) / 256, (row + 0.5) / 256)[0])
    assert shown[0] > 200 > 60 > shown[1]
    visit.shot("without-webgl")
