"""Experts and others: whether they agree, and 224 simulated ones."""

import numpy as np
import pytest

from reucid_core.training.labels.respondents import (
    EXPERT,
    KINDS,
    OTHER,
    PAPER_RESPONDENTS,
    Group,
    agreement,
    simulated_choice,
    simulated_respondents,
)

IEF = np.exp(-((np.arange(1, 26) - 12) ** 2) / 60)


def survey(seed: int, preferred: dict[str, float] | None = None) -> Group:
    rng = np.random.default_rng(seed)
    people = simulated_respondents(rng=rng, preferred=preferred)
    return Group.of(
        "image", [(each.kind, each.name, simulated_choice(each, IEF, rng=rng)) for each in people]
    )


def test_simulated_respondents_are_as_many_as_the_papers() -> None:
    group = survey(1)
    assert {kind: len(group.alphas(kind)) for kind in KINDS} == PAPER_RESPONDENTS
    assert sum(PAPER_RESPONDENTS.values()) == 224
    assert all(1 <= alpha <= 25 for kind in KINDS for alpha in group.alphas(kind))
    assert len(set(group.alphas(EXPERT))) > 3
    assert survey(1) == group
    assert survey(2) != group


def test_kinds_of_one_taste_agree_and_the_interval_covers_it() -> None:
    found = [survey(seed).agreement for seed in range(40)]
    plain = [each for each in found if each and each.is_plain]
    assert len(plain) <= 6  # two expected of 40 at 5 %; more than six have a chance of 0.3 %


def test_kinds_of_another_taste_do_not() -> None:
    found = survey(1, {EXPERT: 1.0, OTHER: 1.2}).agreement
    assert found is not None
    assert found.is_plain
    assert found.difference > 1
    assert found.distance > 0.3


def test_several_answers_of_one_are_no_answers_of_several() -> None:
    once = [(kind, f"{kind} {n}", 5 + n) for kind in KINDS for n in range(4)]
    assert Group.of("a", once * 10).agreement == Group.of("a", once).agreement


def test_too_few_answers_tell_nothing() -> None:
    assert agreement({EXPERT: [3], OTHER: [3, 4]}) is None
    assert agreement({OTHER: [3, 4]}) is None


@pytest.mark.filterwarnings("error")
def test_answers_that_are_all_alike() -> None:
    same = agreement({EXPERT: [4, 4], OTHER: [4, 4, 4]})
    assert same is not None
    assert (same.difference, same.low, same.high, same.distance) == (0, 0, 0, 0)
    assert not same.is_plain
    apart = agreement({EXPERT: [4, 4], OTHER: [5, 5]})
    assert apart is not None
    assert apart.is_plain
