"""Networks beside the rule of the noise floor, at the two scales."""

import numpy as np
import pytest
from numpy.typing import NDArray

from reucid_core import DenoiseParams, denoise, noise_floor
from reucid_core.classifier import Architecture
from reucid_core.clock import Clock
from reucid_core.eigenpatches import Decomposition
from reucid_core.params import Select
from reucid_core.training.judging import scales
from reucid_core.training.judging.scales import (
    COMBINATIONS,
    NAMES,
    RULE,
    Loss,
    Multiple,
    TwoJudges,
    Verdicts,
    Whole,
    best_multiple,
    denoised,
    kept_by,
    tables,
)
from reucid_core.training.judging.scenes import SPECTRA, dimmed
from reucid_core.training.labels.scales import BothScales, label_all
from reucid_core.training.micrographs import fields
from reucid_core.training.micrographs.recipes import Recipe
from reucid_core.training.micrographs.scan_spectra import ScanSpectrum
from reucid_core.training.micrographs.simulate import View
from reucid_core.training.networks.fit import FitOptions


@pytest.fixture(scope="module")
def examples() -> list[BothScales]:
    view = View(shape=(96, 96), sampling=0.2, rotation=5.0)
    spectrum = ScanSpectrum(decay=0.5, next_pixel=0.6)
    return label_all(
        [
            Recipe(
                specimen=fields.field(name),
                view=view,
                dose=2000,
                vacancies=0.1,
                spectrum=spectrum,
                patch_size=9,
                seed=seed,
            )
            for seed, name in enumerate(("Si[110]", "SrTiO3[100]", "MgO[100]", "graphene"))
        ],
        "remove",
    )


def test_the_rule_is_a_multiple_of_two(examples: list[BothScales]) -> None:
    for each in examples:
        d = each.lattice.decomposition
        np.testing.assert_array_equal(kept_by(Multiple(2.0), d), kept_by(noise_floor, d))
        assert kept_by(Multiple(1.5), d).sum() >= kept_by(Multiple(3.0), d).sum()


def test_the_best_multiple_loses_least(examples: list[BothScales]) -> None:
    lattices = [each.lattice for each in examples]

    def loss(judge: Multiple) -> float:
        return float(np.mean([e.keep.loss(kept_by(judge, e.decomposition)) for e in lattices]))

    best = best_multiple(lattices)
    assert loss(best) <= min(loss(Multiple(c)) for c in (1.5, 2.0, 2.5, 3.0))


def test_with_the_rule_at_both_scales_it_is_the_method() -> None:
    scene = dimmed("Si[110]")
    image = scene.seen(1000, SPECTRA["as measured"], (1,))[0][:128, :128]
    expected = denoise(image, DenoiseParams(method="two-scale", threads=1)).image
    found = denoised(image, noise_floor, noise_floor)
    np.testing.assert_allclose(found, expected, atol=1e-9)


@pytest.mark.parametrize(("select", "kept"), [("any", [1, 0, 1]), ("leading", [1, 1, 0])])
def test_both_judges_select_as_stated(select: Select, kept: list[int]) -> None:
    """Two eigenpatches reach the threshold, with a gap between them."""

    def gap(found: Decomposition) -> NDArray[np.float64]:
        return (np.arange(len(found.singular_values)) % 2 == 0).astype(np.float64)

    params = DenoiseParams(method="two-scale", select=select)
    task = TwoJudges(params, gap, None, Clock(), gap)
    found = Decomposition(np.zeros((3, 3, 3)), np.array([3.0, 2.0, 1.0]), 100, 14.0)
    for stack in (1, 2):
        assert list(task.judge(found, stack=stack).kept) == kept


def test_tables_have_every_combination() -> None:
    wholes = [
        Whole("dumbbells", "Si[110]", noise, dose, *combination, 30.0 + number, 0.9)
        for number, combination in enumerate(COMBINATIONS)
        for noise in SPECTRA
        for dose in (100, 1000)
    ]
    losses = [
        Loss("dumbbells", "remove", "lattice", name, number / 10)
        for number, name in enumerate(NAMES)
    ]
    text = tables([Verdicts("dumbbells", losses, wholes)])
    assert "| lattice | remove | 0.00 / 0.00 / 0.00 | 0.10 / 0.10 / 0.10 | 0.20" in text
    assert "| all | | 30.00, 0.90 | 31.00, 0.90 | 32.00, 0.90 | 33.00, 0.90 | 34.00, 0.90 |" in text
    assert f"lattice {RULE}, recovery {RULE}" in text


def test_a_family_is_judged_by_what_has_not_seen_it(
    examples: list[BothScales], monkeypatch: pytest.MonkeyPatch
) -> None:
    """From labels to verdicts, in this process, of one scale and without whole denoisings."""
    monkeypatch.setattr(scales, "SCALES", ("lattice",))
    monkeypatch.setattr(scales, "_wholes", lambda _family, _judges: iter(()))
    architecture = Architecture(channels=(3, 3), widths=(8,), inputs=("log_excess", "log_rank"))
    options = FitOptions(architecture=architecture, epochs=2, epoch_size=256)
    found = scales._leave_out("rocksalt", examples={"remove": examples}, options=options)
    assert {(one.scale, one.method) for one in found.losses} >= {("lattice", n) for n in NAMES}
    assert all(one.loss >= 0 for one in found.losses)
