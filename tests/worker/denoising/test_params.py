"""A job's parameters, between JSON and what takes them."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reucid_core import DenoiseParams
from reucid_core.errors import ParameterError
from worker.denoising.model_choice import ModelChoice
from worker.denoising.params import JobParams
from worker.denoising.selection import Selection

VALUES: dict[str, st.SearchStrategy[Any]] = {
    "signal": st.none() | st.integers(0, 9) | st.text(max_size=9),
    "frame": st.none() | st.integers(0, 9),
    "frames": st.sampled_from(["each", "joint"]),
    "model": st.none() | st.text(max_size=9),
    "scan_noise": st.sampled_from(["keep", "remove"]),
    "stacks": st.none() | st.integers(1, 9),
    "patch_size": st.none() | st.integers(1, 9).map(lambda n: 2 * n + 1),
    "threshold": st.none() | st.floats(0, 1),
    "seed": st.integers(0, 99),
    "threads": st.none() | st.integers(1, 4),
}


@given(st.fixed_dictionaries({}, optional=VALUES))
def test_json_says_all_of_them(stated: dict[str, Any]) -> None:
    params = JobParams.from_json(stated)
    assert params.to_json() == JobParams().to_json() | stated
    assert JobParams.from_json(params.to_json()) == params


def test_each_goes_to_its_part() -> None:
    params = JobParams.from_json({"frame": 2, "model": "paper", "stacks": 3})
    assert params.selection == Selection(frame=2)
    assert params.choice == ModelChoice(model="paper")
    assert params.denoising == DenoiseParams(stacks=3)


def test_a_machine_decides_on_memory_and_threads_alone() -> None:
    params = JobParams.from_json({"frame": 2, "stacks": 3, "threads": 4})
    there = params.within(memory_budget=2**20, threads=None)
    assert there.to_json() == params.to_json() | {"memory_budget": 2**20, "threads": None}


def test_what_cannot_be_is_refused() -> None:
    with pytest.raises(TypeError, match="no_such_parameter"):
        JobParams.from_json({"no_such_parameter": 1})
    with pytest.raises(ParameterError, match="autocorrelation, information-limit"):
        JobParams.from_json({"patch_size_from": "no such rule"})
    with pytest.raises(ParameterError, match="scan_noise"):
        JobParams.from_json({"scan_noise": "maybe"})


def test_a_function_is_told_by_its_name() -> None:
    params = JobParams(denoising=DenoiseParams(patch_size=lambda _: 7))
    told = params.to_json()
    assert told["patch_size"] is None
    assert told["patch_size_from"].endswith("<lambda>")
    json.dumps(told)
