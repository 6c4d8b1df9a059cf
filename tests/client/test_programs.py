"""The scripts for other programs, as docs/clients.md shows them."""

import runpy
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from tests.client.test_client import image
from tests.support.inprocess import Api
from tests.support.places import ROOT

SCRIPTS = ROOT / "docs" / "clients"


class Shown:
    """What DigitalMicrograph calls an image, as far as the script asks it."""

    def __init__(self, pixels: np.ndarray[Any, Any]) -> None:
        self.pixels, self.name, self.is_shown = pixels, "front", False
        self.calibration: dict[int, tuple[Any, ...]] = {0: (3.0, 0.2, "nm"), 1: (4.0, 0.3, "nm")}

    def GetNumArray(self) -> np.ndarray[Any, Any]:  # noqa: N802
        return self.pixels

    def GetName(self) -> str:  # noqa: N802
        return self.name

    def SetName(self, name: str) -> None:  # noqa: N802
        self.name = name

    def GetDimensionCalibration(self, axis: int, _: int) -> tuple[Any, ...]:  # noqa: N802
        return self.calibration[axis]

    def SetDimensionCalibration(self, axis: int, *stated: Any) -> None:  # noqa: N802
        self.calibration[axis] = stated

    def ShowImage(self) -> None:  # noqa: N802
        self.is_shown = True


def test_digitalmicrograph_shows_the_result(
    api: Api, key: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By a stand-in for the program, which runs on Windows alone and is not free."""
    front, made, told = Shown(image(51)), list[Shown](), list[str]()

    def create(pixels: np.ndarray[Any, Any]) -> Shown:
        made.append(Shown(pixels))
        return made[-1]

    program = ModuleType("DigitalMicrograph")
    vars(program).update(GetFrontImage=lambda: front, CreateImage=create, Result=told.append)
    monkeypatch.setitem(sys.modules, "DigitalMicrograph", program)
    source = (SCRIPTS / "digitalmicrograph.py").read_text()
    stated = 'SERVER, KEY = "http://localhost:8000", None'
    assert stated in source
    script = tmp_path / "script.py"  # with the server that the user has
    script.write_text(source.replace(stated, f"SERVER, KEY = {api.url!r}, {key!r}"))
    runpy.run_path(str(script), run_name="__main__")
    (result,) = made
    assert (result.is_shown, result.name) == (True, "denoised front")
    assert result.pixels.shape == front.pixels.shape
    assert np.ptp(result.pixels) < np.ptp(front.pixels)
    assert result.calibration[1] == (4.0, 0.3, "nm", 0)
    assert told
    assert all(each.endswith("\n") for each in told)
