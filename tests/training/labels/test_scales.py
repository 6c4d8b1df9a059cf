"""Labels of whitened decompositions: what each eigenpatch adds to the image itself."""

import numpy as np
import pytest

from reucid_core import DenoiseParams, denoise
from reucid_core.params import ScanNoise
from reucid_core.training.labels.scales import BothScales, label_all, label_both
from reucid_core.training.micrographs.crystals import CRYSTALS
from reucid_core.training.micrographs.recipes import Recipe, micrograph
from reucid_core.training.micrographs.scan_spectra import ScanSpectrum
from reucid_core.training.micrographs.simulate import RowNoise, View

RECIPE = Recipe(
    specimen=CRYSTALS["SrTiO3[100]"],
    view=View(shape=(128, 128), sampling=0.2, rotation=7.0),
    dose=2000,
    vacancies=0.05,
    spectrum=ScanSpectrum(decay=0.6, next_pixel=0.6),
    rows=RowNoise(offset=0.03),
    seed=1,
)


@pytest.fixture(scope="module", params=["remove", "keep"])
def decision(request: pytest.FixtureRequest) -> ScanNoise:
    return request.param  # type: ignore[no-any-return]


@pytest.fixture(scope="module")
def both(decision: ScanNoise) -> BothScales:
    found = label_both(RECIPE, micrograph(RECIPE), decision)
    assert found is not None
    return found


def test_what_the_rule_keeps_makes_the_image_that_the_method_makes(
    both: BothScales, decision: ScanNoise
) -> None:
    images = micrograph(RECIPE)
    params = DenoiseParams(method="two-scale", scan_noise=decision, threads=1)
    result = denoise(images.noisy, params)
    truth = images.truth(decision)
    assert both.recovery is not None
    labels = both.recovery.keep
    error = float(np.sum((result.image - truth) ** 2))
    assert labels.error.squared_error(labels.patch_oracle) == pytest.approx(error, rel=1e-4)


@pytest.mark.parametrize("scale", ["lattice", "recovery"])
def test_no_single_flip_improves_the_labels(both: BothScales, scale: str) -> None:
    example = both.lattice if scale == "lattice" else both.recovery
    assert example is not None
    labels = example.keep
    changes = labels.error.flips(labels.image_oracle)
    assert changes.min() > -1e-9 * labels.error.energy
    assert labels.loss(labels.patch_oracle) >= 0
    assert example.decomposition.noise_variance is not None


def test_nothing_to_measure_is_no_example() -> None:
    view = View(shape=(16, 16), sampling=0.2)
    tiny = Recipe(specimen=CRYSTALS["SrTiO3[100]"], view=view, dose=100, patch_size=3)
    assert label_all([tiny], "remove") == []
