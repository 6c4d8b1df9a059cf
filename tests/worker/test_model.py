"""Which classifier a job is done with."""

import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from reucid_core.classifier import BUNDLED
from reucid_core.errors import ModelError, ParameterError
from worker.model import WEIGHTS, ModelChoice, available, damaged, default_path, find, find_digest
from worker.settings import Settings


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    shutil.copy(WEIGHTS / "paper.safetensors", tmp_path / "ours.safetensors")
    (tmp_path / "broken.safetensors").write_bytes(b"\x10\0\0\0\0\0\0\0 no JSON here  ")
    return tmp_path


def settings(**stated: Any) -> Settings:
    return Settings(**stated)


def test_the_default_is_the_core_s() -> None:
    assert default_path(settings()) == BUNDLED
    assert list(available(settings())) == ["tuned", "paper"]
    assert find(settings(), None).path == BUNDLED


def test_the_operator_s_models_are_offered(folder: Path) -> None:
    mine = settings(model_dir=folder)
    assert list(available(mine)) == ["tuned", "paper", "ours"]
    assert find(mine, "ours").path == folder / "ours.safetensors"
    ours = settings(model=folder / "ours.safetensors")
    assert next(iter(available(ours))) == "ours"
    assert find(ours, None).name == "ours"


def test_a_damaged_one_is_told_of_and_not_offered(folder: Path) -> None:
    mine = settings(model_dir=folder)
    assert "broken" not in available(mine)
    (reason,) = damaged(mine)
    assert "broken.safetensors is not a readable safetensors file" in reason
    with pytest.raises(ModelError, match="broken"):
        find(settings(model=folder / "broken.safetensors"), None)


@pytest.mark.parametrize("name", ["none", "../weights/paper", "/etc/passwd", ""])
def test_an_unknown_name_is_refused(name: str) -> None:
    with pytest.raises(ParameterError, match="expected one of tuned, paper") as caught:
        find(settings(), name)
    assert caught.value.field == "model"


def test_a_model_is_found_by_its_digest() -> None:
    paper = available(settings())["paper"]
    assert find_digest(settings(), paper.sha256) == paper
    assert find_digest(settings(), "0" * 64) is None


def test_a_choice_is_split_from_the_other_parameters() -> None:
    choice, others = ModelChoice.split({"model": "paper", "seed": 3})
    assert choice == replace(ModelChoice(), model="paper")
    assert others == {"seed": 3}
