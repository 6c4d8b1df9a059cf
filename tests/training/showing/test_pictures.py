"""Charts and pages: what is drawn is right, and drawing works; their looks are for the eye."""

import struct
import sys
from pathlib import Path

import numpy as np
import pytest

from reucid_core.eigenpatches import Decomposition
from reucid_core.training.showing import charts, pictures
from reucid_core.training.showing.figures import DPI, WIDTH
from reucid_core.training.showing.pictures import Trial

pytest.importorskip("matplotlib")


def trial(shape: tuple[int, int] = (40, 50)) -> Trial:
    rng = np.random.default_rng(0)
    truth = np.outer(np.sin(np.arange(shape[0])), np.cos(np.arange(shape[1])))
    noisy = truth + rng.normal(0, 0.2, shape)
    return Trial("lattice", truth, noisy, {"ours": 0.9 * truth, "BM3D": 0.8 * truth})


def size(path: Path) -> tuple[int, int]:
    """Width and height in px of a PNG file."""
    header = path.read_bytes()[:24]
    assert header[:8] == b"\x89PNG\r\n\x1a\n"
    width, height = struct.unpack(">II", header[16:])
    return width, height


def test_profile_of_a_ramp_is_the_ramp() -> None:
    y, x = np.indices((20, 30))
    distance, values = pictures.along(3.0 * y + 4.0 * x, (2.5, 1.0), (14.5, 10.0))
    assert distance[[0, -1]].tolist() == [0.0, 15.0]
    np.testing.assert_allclose(values, 11.5 + distance / 15 * (3 * 12 + 4 * 9))


def test_spectrum_peaks_at_the_period() -> None:
    y, x = np.indices((64, 96))
    power = pictures.power_spectrum(5 + np.cos(2 * np.pi * (y / 8 + x / 6)))
    row, column = np.unravel_index(np.argmax(power), power.shape)
    assert (abs(row - 32), abs(column - 48)) == (8, 16)


@pytest.mark.parametrize("focus", [None, (0, 0), (39, 49), (20, 3)])
def test_detail_lies_within_the_image_around_its_focus(focus: tuple[int, int] | None) -> None:
    image = np.indices((40, 50)).transpose(1, 2, 0)
    shown = image[pictures._detail(image[..., 0], 10, focus)]
    assert shown.shape == (10, 10, 2)
    assert (focus or (20, 25)) in {tuple(at) for at in shown.reshape(-1, 2).tolist()}


def test_detail_of_a_small_image_is_all_of_it() -> None:
    image = np.zeros((7, 9))
    assert image[pictures._detail(image, 128)].shape == (7, 9)


def test_bounds_of_a_share_are_wilsons() -> None:
    share, total = np.array([0.5, 0.0]), np.array([10, 10])
    below, above = charts._wilson(share, total)
    np.testing.assert_allclose(share - below, [0.2366, 0.0], atol=1e-4)
    np.testing.assert_allclose(share + above, [0.7634, 0.2775], atol=1e-4)


def test_pages_are_as_wide_as_said(tmp_path: Path) -> None:
    one = trial()
    before = one.noisy.copy()
    pictures.comparison([one, one], tmp_path / "new" / "page.png", residuals=["ours"], side=32)
    pictures.profiles(one, (3, 3), (30, 40), tmp_path / "profile.png", shown="ours", marks=[9])
    pictures.experiment(one.noisy, one.restored, tmp_path / "experiment.png")
    for name in ("new/page.png", "profile.png", "experiment.png"):
        assert size(tmp_path / name)[0] == WIDTH * DPI
    np.testing.assert_array_equal(one.noisy, before)


def test_charts_are_drawn_whatever_the_verdicts(tmp_path: Path) -> None:
    k = 6
    found = Decomposition(np.ones((k, 3, 3)), np.geomspace(1, 1e-3, k), 100, 2.0)
    rng = np.random.default_rng(1)
    for number, kept in enumerate((np.ones(k, dtype=bool), np.zeros(k, dtype=bool))):
        charts.scree(found, kept, np.arange(k) < 3, tmp_path / f"{number}.png", noise=1e-6)
        assert size(tmp_path / f"{number}.png")[0] > 1000
    utilities = np.concatenate([[0.0, 1.0], rng.random(20)])
    charts.reliability({"paper": (utilities, utilities > 0.5)}, tmp_path / "reliability.png")
    charts.losses({"paper": {"Si": [0.0, 30.0]}, "rule": {"GaN": [0.1]}}, tmp_path / "losses.png")
    assert size(tmp_path / "losses.png")[0] == WIDTH * DPI


def test_missing_matplotlib_names_the_extra(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(ImportError, match="plots"):
        charts.losses({"paper": {"Si": [0.1]}}, tmp_path / "losses.png")
    assert not list(tmp_path.iterdir())
