from pathlib import Path

import numpy as np
import pytest
import torch

from reucid_core.classifier import ARCHITECTURE, load_classifier
from reucid_core.errors import ModelError
from reucid_core.training.card import model_card, readable
from reucid_core.training.crystals import CRYSTALS
from reucid_core.training.dataset import Example, Recipe, make_examples
from reucid_core.training.fit import Fit, FitOptions, as_classifier, fit, write
from reucid_core.training.simulate import View

OPTIONS = FitOptions(epochs=4, epoch_size=512, batch_size=64)


@pytest.fixture(scope="module")
def examples() -> list[Example]:
    names = ("Si[110]", "MgO[100]", "graphene", "SrTiO3[100]")
    view = View(shape=(48, 48), sampling=0.2, rotation=30)
    return make_examples(
        [
            Recipe(crystal=CRYSTALS[name], view=view, dose=1000, patch_size=5, seed=seed)
            for seed, name in enumerate(names)
        ]
    )


@pytest.fixture(scope="module")
def fitted(examples: list[Example]) -> Fit:
    return fit(examples[:3], examples[3:], OPTIONS)


@pytest.fixture(scope="module")
def weights(fitted: Fit, examples: list[Example], tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("weights") / "tiny.safetensors"
    card = model_card(fitted, examples[:3], examples[3:], options=OPTIONS, command="a test")
    write(fitted, path, card)
    return path


def test_training_lowers_the_loss(fitted: Fit) -> None:
    assert fitted.epochs[-1].training_loss < 0.8 * fitted.epochs[0].training_loss
    assert fitted.epochs[-1].validation_loss < fitted.epochs[0].validation_loss


def test_training_repeats(fitted: Fit, examples: list[Example]) -> None:
    again = fit(examples[:3], examples[3:], OPTIONS)
    assert again.epochs == fitted.epochs
    for name, tensor in fitted.network.state_dict().items():
        assert torch.equal(again.network.state_dict()[name], tensor)


def test_weights_survive_the_file(fitted: Fit, weights: Path, examples: list[Example]) -> None:
    loaded = load_classifier(weights)
    decomposition = examples[0].decomposition
    np.testing.assert_allclose(
        loaded(decomposition), as_classifier(fitted.network)(decomposition), atol=1e-6
    )
    assert loaded.threshold == fitted.threshold
    assert loaded.card["architecture"] == ARCHITECTURE
    assert loaded.card["images"] == {"training": 3, "validation": 1}
    assert loaded.identity.startswith("tiny@sha256:")
    assert "Si[110]" in readable(weights.name, loaded.card)


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="no classifier weights"):
        load_classifier(tmp_path / "none.safetensors")


@pytest.mark.parametrize("keep", [0, 7, 500, -4])
def test_a_damaged_file_is_refused(weights: Path, tmp_path: Path, keep: int) -> None:
    damaged = tmp_path / "damaged.safetensors"
    damaged.write_bytes(weights.read_bytes()[:keep])
    with pytest.raises(ModelError, match=r"damaged\.safetensors"):
        load_classifier(damaged)


def test_another_architecture_is_refused(fitted: Fit, tmp_path: Path) -> None:
    path = tmp_path / "other.safetensors"
    write(fitted, path, {"architecture": "unet", "threshold": 0.5})
    with pytest.raises(ModelError, match="unet"):
        load_classifier(path)


def test_weights_that_are_not_finite_are_refused(fitted: Fit, tmp_path: Path) -> None:
    network = as_classifier(fitted.network)._network
    broken = Fit(type(fitted.network)(), 0.5, 0.0, [])
    broken.network.load_state_dict(network.state_dict())
    with torch.no_grad():
        broken.network.fc4.bias.fill_(float("nan"))
    path = tmp_path / "nan.safetensors"
    write(broken, path, {"architecture": ARCHITECTURE, "threshold": 0.5})
    with pytest.raises(ModelError, match="not finite"):
        load_classifier(path)
