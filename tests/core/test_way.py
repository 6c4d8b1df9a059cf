"""Which method and engine a denoising takes, and why."""

from typing import Any

import numpy as np
import pytest

from reucid_core import DenoiseParams, MemoryBudgetError, ParameterError, denoise, noise_floor
from reucid_core.classifier import load_classifier
from reucid_core.plan import choose_way, thriftier
from tests.support.strategies import blob_lattice, keep_first

IMAGE = 10 + 30 * blob_lattice((96, 96), period=11, sigma=2.5)
NOISY = IMAGE + np.random.default_rng(0).normal(0, 8, IMAGE.shape)
ONLY_PAPER: dict[str, Any] = {"engine": "stacked", "stacks": 3, "components": 9}


@pytest.mark.parametrize("stated", ONLY_PAPER)
def test_what_only_the_paper_s_method_has_chooses_it(stated: str) -> None:
    way = choose_way(DenoiseParams(**{stated: ONLY_PAPER[stated]}), noise_floor)
    assert way.method == "paper"
    assert stated in way.method_reason


@pytest.mark.parametrize("stated", ONLY_PAPER)
def test_two_scales_refuse_it(stated: str) -> None:
    with pytest.raises(ParameterError, match=f"expected paper or auto: .*{stated}") as refused:
        DenoiseParams(method="two-scale", **{stated: ONLY_PAPER[stated]})
    assert refused.value.field == "method"


def test_a_network_of_the_paper_s_method_chooses_it() -> None:
    way = choose_way(DenoiseParams(), load_classifier())
    assert (way.method, way.engine) == ("paper", "exact")
    assert "classifier" in way.method_reason


@pytest.mark.parametrize(
    "stated",
    [{}, {"patch_size": 9}, {"deadline": 3.0}, {"engine": "exact"}, {"threshold": 0.2}],
)
def test_all_else_has_two_scales(stated: dict[str, Any]) -> None:
    way = choose_way(DenoiseParams(**stated), keep_first(1))
    assert (way.method, way.engine) == ("two-scale", "exact")


def test_a_stated_method_is_taken() -> None:
    for method in ("paper", "two-scale"):
        way = choose_way(DenoiseParams(method=method), noise_floor)  # type: ignore[arg-type]
        assert (way.method, way.method_reason) == (method, "stated")


def test_what_takes_less_memory_comes_next() -> None:
    params = DenoiseParams()
    ways = [choose_way(params, noise_floor)]
    while (way := thriftier(ways[-1], params, "too large")) is not None:
        ways.append(way)
    found = [(way.method, way.engine) for way in ways]
    assert found == [("two-scale", "exact"), ("paper", "exact"), ("paper", "stacked")]
    stated = DenoiseParams(method="two-scale")
    assert thriftier(choose_way(stated, noise_floor), stated, "too large") is None


def test_the_report_says_which_and_why() -> None:
    told = denoise(NOISY).report
    assert (told.method, told.engine) == ("two-scale", "exact")
    assert told.scan_noise == "remove"
    told = denoise(NOISY, DenoiseParams(components=9)).report
    assert (told.method, told.noise) == ("paper", None)
    assert (
        told.method_reason
        == "a number of components was stated, which only the paper's algorithm has"
    )


def test_without_the_memory_for_two_scales_it_is_the_paper_s_method() -> None:
    params = DenoiseParams(memory_budget=60 * 2**20, patch_size=9)
    report = denoise(NOISY, params).report
    assert report.method == "paper"
    assert "MiB" in report.method_reason
    with pytest.raises(MemoryBudgetError):
        denoise(NOISY, DenoiseParams(method="two-scale", memory_budget=60 * 2**20))
