"""The memory that was promised is the memory that is taken."""

import subprocess
import sys
import tracemalloc

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from reucid_core import DenoiseParams, MemoryBudgetError, denoise
from reucid_core.canvas import Canvas
from reucid_core.patches import assign
from reucid_core.workload import (
    EXACT_PIXEL,
    FIXED,
    GRAM,
    MIB,
    TERRAIN,
    Workload,
    band_height,
    max_stacks,
    paper_formula,
)
from tests.support.strategies import keep_first

MEASURE = """
import sys, threading
import numpy as np, psutil
from reucid_core import DenoiseParams, denoise

side, p, dtype, budget = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3], int(sys.argv[4])
few = lambda decomposition: np.arange(len(decomposition.singular_values)) < 2
make = lambda side: np.random.default_rng(0).normal(1000, 30, (side, side)).astype(dtype)
fixed = {"engine": sys.argv[5], "patch_size": p, "components": 8, "threads": 1}
params = lambda **more: DenoiseParams(**fixed, **more)
denoise(make(4 * p), params(), classify=few)  # libraries loaded, their buffers made
image = make(side)

process, peak, done = psutil.Process(), 0, threading.Event()
def watch():
    global peak
    while not done.wait(0.001):
        peak = max(peak, process.memory_info().rss)
before = process.memory_info().rss
watcher = threading.Thread(target=watch)
watcher.start()
two_stacks = lambda progress: progress.stack < 2
result = denoise(image, params(memory_budget=budget), classify=few, on_stack=two_stacks)
done.set()
watcher.join()
print(result.report.stacks, peak - before)
"""

workloads = st.builds(
    Workload,
    shape=st.tuples(st.integers(64, 2048), st.integers(64, 2048)),
    p=st.sampled_from([3, 5, 11, 23, 31]),
    itemsize=st.sampled_from([4, 8]),
    components=st.integers(1, 128),
)


@given(workloads, st.integers(1, 4096))
def test_the_fewest_stacks_are_enough_and_one_less_is_not(load: Workload, mib: int) -> None:
    budget = mib * MIB
    try:
        stacks = load.fewest_stacks(budget)
    except MemoryBudgetError:
        assert min(load.memory(d) for d in range(1, max_stacks(load.shape, load.p) + 1)) > budget
    else:
        assert load.memory(stacks) <= budget
        assert stacks == 1 or load.memory(stacks - 1) > budget


@pytest.mark.parametrize(
    ("side", "p", "dtype", "budget_mib"),
    [(1024, 15, "float32", 96), (640, 11, "float64", 128), (400, 31, "float32", 96)],
)
def test_resident_memory_stays_within_the_budget(
    side: int, p: int, dtype: str, budget_mib: int
) -> None:
    budget = budget_mib * MIB
    stacks, peak = measure("stacked", side, p, dtype, budget)
    assert stacks > 1
    assert 0.5 * budget < peak <= budget  # kept, and not wasted


@pytest.mark.parametrize(("side", "p"), [(1024, 15), (700, 45)])
def test_resident_memory_of_the_exact_engine_is_what_was_foreseen(side: int, p: int) -> None:
    foreseen = FIXED + EXACT_PIXEL * side**2 + GRAM * p**4
    assert band_height((side, side), p, 0, foreseen) == side
    _, peak = measure("exact", side, p, "float32", foreseen)
    assert 0.3 * foreseen < peak <= foreseen


def measure(engine: str, side: int, p: int, dtype: str, budget: int) -> tuple[int, int]:
    """Stacks, and bytes taken at the peak, in a process of its own."""
    arguments = [str(side), str(p), dtype, str(budget), engine]
    output = subprocess.run(
        [sys.executable, "-c", MEASURE, *arguments], capture_output=True, text=True, check=True
    ).stdout
    stacks, peak = map(int, output.split())
    return stacks, peak


@pytest.mark.parametrize(("budget_mib"), [64, 128])
def test_bands_keep_the_exact_engine_within_the_budget(budget_mib: int) -> None:
    budget = budget_mib * MIB
    assert band_height((2000, 2000), 15, 28, budget) < 1500
    _, peak = measure("exact", 2000, 15, "float32", budget)
    result = 4 * 2000**2
    assert 0.4 * budget < peak - result <= budget


def test_patches_too_large_for_a_gram_matrix_are_stacked() -> None:
    image = np.random.default_rng(0).normal(5, 1, (130, 130)).astype(np.float32)
    budget = GRAM * 61**4 - 1
    with pytest.raises(MemoryBudgetError, match="MiB may be used"):
        band_height(image.shape, 61, 120, budget)
    params = DenoiseParams(patch_size=61, components=4, memory_budget=budget)
    report = denoise(image, params, classify=keep_first(1)).report
    assert report.engine == "stacked"
    assert "MiB" in report.engine_reason


def test_an_image_narrower_than_four_patches_has_to_fit_as_a_whole() -> None:
    shape, p = (5000, 100), 31
    whole = FIXED + GRAM * p**4 + EXACT_PIXEL * 5000 * 100
    assert band_height(shape, p, 60, whole) == 5000
    with pytest.raises(MemoryBudgetError, match="5000 x 100 px"):
        band_height(shape, p, 60, whole - 1)
    assert band_height((5000, 121), p, 60, whole - 1) < 5000


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_terrain_and_image_take_no_more_than_counted(dtype: type) -> None:
    noisy = np.ones((500, 600), dtype)
    canvas = Canvas(noisy, assign(noisy.shape, 5, 1, np.random.default_rng(0)), 5)
    tracemalloc.start()
    origins = canvas.origins(1)
    del origins
    image = canvas.image(canvas.coverage())
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert image.nbytes < peak <= 1.01 * TERRAIN * noisy.size


@pytest.mark.parametrize("stacks", [None, 1])
def test_what_does_not_fit_is_refused(stacks: int | None) -> None:
    params = DenoiseParams(engine="stacked", patch_size=5, stacks=stacks, memory_budget=MIB)
    with pytest.raises(MemoryBudgetError, match="1 MiB may be used"):
        denoise(np.ones((64, 64)), params, classify=keep_first(1))


def test_the_number_of_stacks_follows_from_the_budget_and_is_reported() -> None:
    image = np.random.default_rng(0).normal(5, 1, (200, 200))
    load = Workload(image.shape, 11, 8, 4)
    budget = load.memory(3)
    params = DenoiseParams(engine="stacked", patch_size=11, components=4, memory_budget=budget)
    report = denoise(image, params, classify=keep_first(2)).report
    assert (report.stacks, report.stacks_origin) == (3, "memory")


def test_no_stack_is_ever_empty() -> None:
    image = np.random.default_rng(0).normal(5, 1, (60, 60))
    most = max_stacks(image.shape, 3)
    params = DenoiseParams(patch_size=3, stacks=most)
    report = denoise(image, params, classify=keep_first(1)).report
    assert min(stack.n_patches for stack in report.stack_reports) > 20


def test_the_paper_s_examples_are_its_formula_s() -> None:
    """254 MB for 512 x 512 px and p = 11, about 4.5 GB for 1024 x 1024 px and p = 23."""
    assert round(paper_formula((512, 512), 11, 8) / 1e6) == 254
    assert 4.4e9 < paper_formula((1024, 1024), 23, 8) < 4.6e9


def test_the_report_has_the_paper_s_formula_beside_what_was_planned() -> None:
    image = np.random.default_rng(0).normal(3, 1, (40, 50)).astype(np.float32)
    stacked = denoise(image, DenoiseParams(patch_size=5, stacks=3)).report
    assert stacked.memory is not None
    assert stacked.memory.formula == 40 * 50 * 25 * 4
    workload = Workload((40, 50), 5, 4, stacked.components)
    assert stacked.memory.planned == workload.memory(3)
    exact = denoise(image, DenoiseParams(method="paper", patch_size=5)).report
    assert exact.memory is not None
    assert (exact.memory.formula, exact.memory.planned) == (stacked.memory.formula, None)
