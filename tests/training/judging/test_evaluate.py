"""The evaluation: nothing of a family is seen, every method is judged alike, all is drawn."""

import pickle
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from reucid_core.metrics import psnr
from reucid_core.training.judging.case import ORACLE, Case, Restoration, restore
from reucid_core.training.judging.contenders import Contender, Network, contenders_without
from reucid_core.training.judging.evaluate import (
    ROWS,
    Exhibit,
    Found,
    Score,
    exhibit,
    judgements,
    score,
)
from reucid_core.training.judging.rivals import RIVALS
from reucid_core.training.labels.examples import Example, make_examples
from reucid_core.training.micrographs.crystals import CRYSTALS
from reucid_core.training.micrographs.recipes import Recipe
from reucid_core.training.micrographs.simulate import RowNoise, View
from reucid_core.training.networks.fit import DECISIONS, FitOptions
from reucid_core.training.showing import gallery, score_tables

GAUSSIAN = next(each for each in RIVALS if each.name == "Gaussian")
QUICK = FitOptions(epochs=2, epoch_size=256, batch_size=64)


def recipe(name: str = "Si[110]", *, offset: float = 0.0, seed: int = 0, side: int = 96) -> Recipe:
    return Recipe(
        specimen=CRYSTALS[name],
        view=View(shape=(side, side), sampling=0.25, rotation=20),
        dose=500,
        rows=RowNoise(offset=offset),
        patch_size=9,
        seed=seed,
    )


@pytest.fixture(scope="module")
def examples() -> list[Example]:
    names = ("Si[110]", "GaAs[110]", "MgO[100]", "SrTiO3[100]", "graphene")
    return make_examples([recipe(name, seed=i, side=48) for i, name in enumerate(names * 3)])


@pytest.fixture(scope="module")
def contenders(examples: list[Example]) -> list[Contender]:
    return contenders_without(examples, "dumbbells", {"tuned": QUICK, "paper": QUICK})


@pytest.fixture(scope="module", params=[0.0, 0.05], ids=["white", "rows"])
def case(request: pytest.FixtureRequest) -> Case:
    return Case.of(recipe(offset=request.param))


@pytest.fixture(scope="module")
def restorations(case: Case, contenders: list[Contender]) -> list[Restoration]:
    return list(restore(case, contenders, [GAUSSIAN]))


def test_a_family_takes_no_part_in_what_judges_it(examples: list[Example]) -> None:
    options = {"paper": QUICK}
    without = [e for e in examples if e.recipe.specimen.family != "dumbbells"]
    first, again = (
        contenders_without(some, "dumbbells", options)[0].rule for some in (examples, without)
    )
    decomposition = examples[0].decomposition
    assert isinstance(first, Network)
    assert isinstance(again, Network)
    np.testing.assert_array_equal(first.classify(decomposition), again.classify(decomposition))


def test_a_micrograph_has_two_point_defects(case: Case) -> None:
    vacancy, light = case.defects
    assert vacancy.change.min() < light.change.min() < -0.1


def test_every_method_is_judged_by_every_decision_it_is_for(
    case: Case, restorations: list[Restoration]
) -> None:
    found = {decision: [r.method for r in restorations if r.scan_noise == decision]
             for decision in DECISIONS}  # fmt: skip
    everywhere = {
        "tuned",
        "paper",
        "paper, leading",
        "best alpha",
        "first 10",
        "SURE",
        ORACLE,
        "noisy",
        "Gaussian",
    }
    for decision in case.decisions:
        assert everywhere <= set(found[decision])
        assert len(found[decision]) == len(set(found[decision]))
    assert bool(found["remove"]) == bool(case.recipe.rows)
    assert ("tuned (remove)" in found["keep"]) == (not case.recipe.rows)


def test_leading_keeps_as_many_from_the_first_on(restorations: list[Restoration]) -> None:
    kept = {(r.method, r.scan_noise): r.kept for r in restorations if r.kept is not None}
    for name in ("tuned", "paper"):
        for decision in DECISIONS:
            if (name, decision) in kept:
                leading = kept[f"{name}, leading", decision]
                count = np.count_nonzero(kept[name, decision])
                np.testing.assert_array_equal(np.flatnonzero(leading), np.arange(count))


def test_scores_are_those_of_the_images(case: Case, restorations: list[Restoration]) -> None:
    for each in restorations:
        found = score(case, each)
        labels = case.example.labels(each.scan_noise)
        assert found.psnr == psnr(each.image, case.images.truth(each.scan_noise))
        if each.kept is not None:
            assert found.loss == pytest.approx(labels.loss(each.kept), abs=1e-6)
        if each.method == ORACLE:
            assert found.loss == pytest.approx(0, abs=1e-6)
        if each.method == "noisy":
            assert found.ief == 1
            assert found.contrast == pytest.approx(1)


@pytest.fixture(scope="module")
def found(case: Case, restorations: list[Restoration], contenders: list[Contender]) -> Found:
    shown = [exhibit(case, restorations, decision) for decision in case.decisions]
    scores = [score(case, each) for each in restorations]
    return Found("dumbbells", scores, list(judgements(case, contenders)), shown)


def test_tables_tell_the_scores(found: Found) -> None:
    text = score_tables.report(found.scores)
    lost = [s.loss for s in found.scores if (s.method, s.scan_noise) == ("first 10", "keep")]
    assert f"| first 10 | {lost[0]:.2f} / {lost[0]:.2f} / {lost[0]:.2f} |" in text
    assert "paper, Table 1" in text
    assert "nan" not in text.replace("| noisy |", "").split("## Si[110]")[-1]


def test_groups_without_scores_are_empty_cells(found: Found) -> None:
    moved = [replace(s, patch_size=11) for s in found.scores if s.method != "noisy"]
    text = score_tables.table([*found.scores, *moved], by="patch_size", cell=score_tables.mean_loss)
    assert next(row for row in text.splitlines() if "| noisy |" in row).endswith("|  |")


def test_everything_is_drawn(found: Found, tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    gallery.draw([found], tmp_path)
    names = {path.name for path in tmp_path.iterdir()}
    noise = {e.offset for e in found.exhibits}
    kinds = ["white"] if noise == {0.0} else ["rows-5-keep", "rows-5-remove"]
    expected = {f"{what}-{kind}.png" for kind in kinds
                for what in ("page", "scree", "profile", "losses")}  # fmt: skip
    assert names == expected | {"reliability-keep.png", "reliability-remove.png"}


def test_what_is_found_goes_from_process_to_process(found: Found, examples: list[Example]) -> None:
    for each in (found, RIVALS, examples[0]):
        assert type(pickle.loads(pickle.dumps(each))) is type(each)  # noqa: S301


def test_a_profile_follows_the_columns(found: Found) -> None:
    shown: Exhibit = found.exhibits[0]
    start, end = gallery.line_through(shown.truth, shown.defects[0].place)
    middle = np.add(start, end) / 2
    np.testing.assert_allclose(middle, shown.defects[0].place)


def test_the_rows_of_the_issue_are_evaluated() -> None:
    assert [each.offset for each in ROWS] == [0.0, 0.02, 0.05]


def test_scores_are_flat() -> None:
    assert {"psnr", "ssim", "ief", "whiteness", "contrast", "loss", "method", "kept"} <= set(
        Score.__dataclass_fields__
    )
