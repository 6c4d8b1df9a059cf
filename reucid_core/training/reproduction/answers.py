"""Fig. 4: what experts and others choose, by dose; here of simulated respondents."""

from pathlib import Path

import numpy as np

from reucid_core.training.labels.alpha_metrics import Comparison, Curves, curves_of
from reucid_core.training.labels.examples import decompose_whole
from reucid_core.training.labels.ief_table import PAPER_CRYSTALS
from reucid_core.training.labels.respondents import (
    HESITATION,
    PAPER_RESPONDENTS,
    PREFERRED,
    TASTE,
    Group,
    Respondent,
    simulated_choice,
    simulated_respondents,
)
from reucid_core.training.micrographs.recipes import micrograph
from reucid_core.training.micrographs.simulate import PAPER_DOSES
from reucid_core.training.reproduction.parts import Part, Row, Table
from reucid_core.training.reproduction.specimens import recipes_of
from reucid_core.training.showing import charts

SEED = 224


def make(folder: Path) -> Part:
    """Answers of 224 simulated respondents to 16 micrographs, and the metrics beside them."""
    rng = np.random.default_rng(SEED)
    people = simulated_respondents(rng=rng)
    names, curves = _surveyed()
    answers = {
        name: [simulated_choice(each, found.values["IEF"], rng=rng) for each in people]
        for name, found in zip(names, curves, strict=True)
    }
    groups = [
        Group.of(
            f"{dose:g}",
            [
                (each.kind, each.name, alpha)
                for (_, at), chosen in answers.items()
                if at == dose
                for each, alpha in zip(people, chosen, strict=True)
            ],
        )
        for dose in PAPER_DOSES
    ]
    charts.violins(groups, folder / "fig4.png", across="electrons counted per A^2")
    means = [float(np.mean(chosen)) for chosen in answers.values()]
    compared = Comparison.of([name for name, _ in names], curves, means)
    fitted = compared.fitted
    return Part(
        "fig4",
        "Fig. 4: answers of experts and others",
        "A violin plot of 89 experts and 135 others, who chose alike; the answers taper off as the "
        "dose rises.",
        [
            "The respondents are simulated, since the paper's answers are not at hand: each looks "
            f"for the largest IEF / c^alpha with a c of their own (about {PREFERRED:g}, spread "
            f"{TASTE:g}) and hesitates ({HESITATION:g} of its logarithm). Experts and others have "
            "one taste because the paper found so. Of people the plot says nothing: it shows that "
            "the survey, its plot and the fit of c do what they should.",
            "With the answers of a survey of one's own: `reucid survey show` and `reucid survey "
            "metric`.",
            f"c by least squares: {fitted.base:.3f} (95 %: {fitted.low:.3f} to {fitted.high:.3f}); "
            f"{PREFERRED:g} was put in. The few who want nearly all eigenpatches draw the mean "
            "answer up, and c down. The paper has 0.64 (docs/classifier.md).",
            "The means rise with the dose, as more eigenpatches rise above the noise, and ever "
            "less so: if that is what the paper calls tapering off, it is here, too.",
        ],
        {"fig4.png": "Numbers of eigenpatches chosen, of four materials at each dose."},
        [_agreement(groups), _metrics(compared), _all_answers(answers, people)],
    )


def _surveyed() -> tuple[list[tuple[str, float]], list[Curves]]:
    names, curves = [], []
    for specimen in PAPER_CRYSTALS:
        for recipe in recipes_of(specimen):
            images = micrograph(recipe)
            decomposed = decompose_whole(images.noisy, recipe.patch_size)
            curves.append(curves_of(decomposed, images.noisy, images.specimen))
            names.append((specimen, recipe.dose))
    return names, curves


def _agreement(groups: list[Group]) -> Table:
    rows: list[Row] = []
    for each in groups:
        found = each.agreement
        if found is not None:
            rows.append(
                [each.name, *found.means, found.difference, found.low, found.high, found.distance]
            )
    head = ("e/A^2", "experts, mean", "others, mean", "difference", "95 % from", "to", "distance")
    return Table("fig4-agreement", "Agreement of experts and others", head, rows)


def _metrics(found: Comparison) -> Table:
    rows: list[Row] = [
        [each.name, each.distance, each.bias, each.told_apart] for each in found.predictors
    ]
    head = ("metric", "from the mean answer", "signed", "alpha told from alpha +- 1")
    return Table("fig4-metrics", "Metrics beside the answers", head, rows)


def _all_answers(answers: dict[tuple[str, float], list[int]], people: list[Respondent]) -> Table:
    rows: list[Row] = [
        [each.name, f"{specimen} {dose:g}", alpha, each.kind]
        for (specimen, dose), chosen in answers.items()
        for each, alpha in zip(people, chosen, strict=True)
    ]
    head = ("respondent", "image", "alpha", "kind")
    number = sum(PAPER_RESPONDENTS.values())
    return Table("fig4-answers", f"Answers of {number} respondents", head, rows, shown=False)
