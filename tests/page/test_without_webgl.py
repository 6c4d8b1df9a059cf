"""A browser without WebGL2: pictures from the server, and numbers that are exact all the same."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from tests.page.browsers import Visit


def test_the_server_draws(visit: Visit, job: str, numbers: dict[str, NDArray[Any]]) -> None:
    visit.page.add_init_script(
        """const get = HTMLCanvasElement.prototype.getContext;
        HTMLCanvasElement.prototype.getContext = function (kind, ...rest) {
          return kind === "webgl2" ? null : get.call(this, kind, ...rest);
        };"""
    )
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
