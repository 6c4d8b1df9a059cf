"""Micrographs without a truth: what is shown of them."""

from pathlib import Path

import numpy as np
import pytest

from reucid_core.training.micrographs.crystals import CRYSTALS
from reucid_core.training.micrographs.recipes import Recipe, micrograph
from reucid_core.training.micrographs.simulate import RowNoise, View
from reucid_core.training.showing import experiment
from reucid_core.training.showing.experiment import Experiment


@pytest.fixture(scope="module")
def streaked() -> Experiment:
    recipe = Recipe(
        specimen=CRYSTALS["SrTiO3[100]"],
        view=View(shape=(96, 96), sampling=0.2, rotation=5),
        dose=3000,
        rows=RowNoise(offset=0.08),
        seed=3,
    )
    raw = 1000 * micrograph(recipe).noisy
    return Experiment("streaked.dm3", raw, {"another": np.full_like(raw, raw.mean())})


def test_white_noise_is_measured() -> None:
    y, x = np.indices((200, 200))
    smooth = 50 * np.sin(y / 9) * np.cos(x / 11)
    noisy = smooth + np.random.default_rng(0).normal(0, 3, y.shape)
    assert experiment.gaussian_noise(noisy) == pytest.approx(3, rel=0.03)


def test_streaks_go_on_demand(streaked: Experiment, tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    restored = experiment.restore(streaked, patch_size=11)
    steps = {name: experiment.row_step(each.image) for name, each in restored.items()}
    assert steps["tuned, remove"] < 0.5 * steps["tuned, keep"]
    assert steps["another"] == 0
    (table,) = experiment.show([streaked], tmp_path, patch_size=11)
    assert "| tuned, remove | " in table
    assert (tmp_path / "experiment-streaked.png").stat().st_size > 10_000
