"""Frames denoised while they are scanned."""

import gc
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from reucid_core import DenoiseParams, ImageError, ParameterError, denoise, denoise_frames
from reucid_core.errors import MemoryBudgetError, ReucidError
from reucid_core.fir import project_and_fuse
from reucid_core.live import LiveDenoiser, LiveFrame
from reucid_core.live_memory import KEPT_FRAMES, Kept
from reucid_core.metrics import psnr
from reucid_core.replay import replay
from tests.support.strategies import blob_lattice, seeds

SHAPE = (48, 56)
PAPER = DenoiseParams(method="paper", threads=1)
TWO_SCALE = DenoiseParams(method="two-scale", threads=1)
LARGE = (128, 144)


def specimen(
    shape: tuple[int, int] = SHAPE, *, period: float = 9.3, drift: int = 0
) -> NDArray[np.float64]:
    """A lattice that has drifted along both axes, with a column that is not like the others."""
    m, n = shape
    wide = blob_lattice((m + 64, n + 64), period=period, sigma=1.8)
    wide[m // 2 : m // 2 + 6, n // 2 : n // 2 + 6] *= 0.4
    return 4 + 40 * wide[drift : drift + m, 64 - drift : 64 - drift + n]


def frames(
    number: int,
    *,
    shape: tuple[int, int] = SHAPE,
    seed: int = 5,
    period: float = 9.3,
    drift: int = 1,
) -> NDArray[np.uint16]:
    rng = np.random.default_rng(seed)
    truths = [specimen(shape, period=period, drift=drift * k) for k in range(number)]
    return rng.poisson(np.stack(truths)).astype(np.uint16)


def scan(
    live: LiveDenoiser, number: int, frame: NDArray[Any], block: int | None = None
) -> LiveFrame:
    """A frame in blocks of rows, each of which is shown."""
    live.begin(number)
    for first in range(0, len(frame), block or len(frame)):
        live.update(frame[first : first + (block or len(frame))], first)
        shown = live.frame()
    return shown


@pytest.mark.parametrize("params", [PAPER, TWO_SCALE], ids=["paper", "two-scale"])
@pytest.mark.parametrize("block", [None, 13], ids=["whole", "in blocks"])
def test_without_memory_a_whole_frame_is_what_denoise_makes_of_it(
    params: DenoiseParams, block: int | None
) -> None:
    live = LiveDenoiser(SHAPE, params, 0)
    for number, frame in enumerate(frames(3)):
        shown = scan(live, number, frame.astype(np.float64), block)
        alone = denoise(frame.astype(np.float64), params)
        np.testing.assert_allclose(
            shown.image, alone.image, rtol=0, atol=1e-9 * np.abs(alone.image).max()
        )
        assert shown.complete
        assert shown.memory_weight == 0.0
        assert shown.patch_size == alone.report.patch_size
        assert shown.verdict is not None
        assert shown.verdict.kept == alone.report.stack_reports[0].kept


@given(
    number=st.integers(2, 5),
    block=st.integers(5, 48),
    p=st.sampled_from([None, 5, 9]),
    drift=st.integers(0, 4),
    seed=seeds,
)
@settings(max_examples=20, deadline=None)
def test_a_stack_that_is_not_forgotten_is_a_joint_stack(
    number: int, block: int, p: int | None, drift: int, seed: int
) -> None:
    stack = frames(number, seed=seed, drift=drift).astype(np.float64)
    params = DenoiseParams(method="paper", patch_size=p, threads=1)
    live = LiveDenoiser(SHAPE, params, None)
    for k, frame in enumerate(stack):
        shown = scan(live, k, frame, block)
    *_, last = denoise_frames(stack, params, joint=True)
    assert shown.memory_weight == number - 1
    assert shown.patch_size == last.report.patch_size
    np.testing.assert_allclose(
        shown.image, last.image, rtol=0, atol=1e-9 * np.abs(last.image).max()
    )


@given(
    blocks=st.lists(st.tuples(st.integers(0, 47), st.integers(1, 48)), max_size=8),
    looks=st.lists(st.booleans(), min_size=8, max_size=8),
    seed=seeds,
)
@settings(max_examples=25, deadline=None)
def test_order_and_repetition_of_rows_do_not_matter_in_the_end(
    blocks: list[tuple[int, int]], looks: list[bool], seed: int
) -> None:
    rng = np.random.default_rng(seed)
    before, frame, other = frames(3, seed=seed).astype(np.float64)
    live = LiveDenoiser(SHAPE, PAPER, None)
    scan(live, 0, before)
    live.begin(1)
    for (first, height), look in zip(blocks, looks, strict=False):
        stop = min(48, first + height)
        live.update(other[first:stop], first)
        if look:
            live.frame()
    for first in rng.permutation(6):
        live.update(frame[8 * first : 8 * first + 8], 8 * first)
        if first % 2:
            live.frame()
    *_, last = denoise_frames([before, frame], PAPER, joint=True)
    np.testing.assert_allclose(
        live.frame().image, last.image, rtol=0, atol=1e-9 * np.abs(last.image).max()
    )


@given(
    rows=st.lists(st.tuples(st.integers(0, 60), st.integers(1, 20)), min_size=1, max_size=6),
    seed=seeds,
)
@settings(max_examples=25, deadline=None)
def test_a_part_of_a_frame_is_filtered_by_what_is_known_from_its_own_rows(
    rows: list[tuple[int, int]], seed: int
) -> None:
    shape = (64, 56)
    before, frame = frames(2, shape=shape, seed=seed).astype(np.float64)
    live = LiveDenoiser(shape, DenoiseParams(method="paper", patch_size=5, threads=1), 8)
    scan(live, 0, before)
    live.begin(1)
    there = np.zeros(64, dtype=bool)
    for first, height in rows:
        stop = min(63, first + height)  # never whole
        live.update(frame[first:stop], first)
        there[first:stop] = True
        shown = live.frame()
    np.testing.assert_array_equal(shown.scanned, there)
    assert shown.verdict is not None
    useful = shown.eigenpatches[np.array(shown.verdict.kept)]
    edges = np.flatnonzero(np.diff(np.concatenate([[False], there, [False]]).astype(int)))
    expected = np.full(shape, np.nan)
    for first, stop in edges.reshape(-1, 2):
        run = frame[first:stop]
        expected[first:stop] = run if len(run) < 5 else project_and_fuse(run, useful)
    np.testing.assert_allclose(shown.image, expected, rtol=0, atol=1e-9 * frame.max())


def test_rows_that_were_not_scanned_are_nan_and_few_rows_are_raw() -> None:
    (frame,) = frames(1)
    live = LiveDenoiser(SHAPE, PAPER)
    live.update(frame[:4])
    shown = live.frame()
    np.testing.assert_array_equal(shown.image[:4], frame[:4])
    assert np.isnan(shown.image[4:]).all()
    assert shown.image.dtype == np.float32
    assert shown.verdict is None
    assert shown.patch_size is None
    assert not shown.complete
    assert shown.n_kept == 0


@pytest.mark.parametrize("method", ["paper", "two-scale"])
@pytest.mark.parametrize("p", [3, 33])
def test_a_stated_patch_size_holds_for_parts_of_any_height(method: Any, p: int) -> None:
    params = DenoiseParams(method=method, patch_size=p, threads=1)
    live = LiveDenoiser(LARGE, params)
    for number, frame in enumerate(frames(2, shape=LARGE)):
        live.begin(number)
        for first in range(0, LARGE[0], 8):
            live.update(frame[first : first + 8], first)
            shown = live.frame()
            assert shown.patch_size in (None, p)
            assert np.isfinite(shown.image[shown.scanned]).all()
    assert shown.patch_size == p


@pytest.mark.parametrize("params", [PAPER, TWO_SCALE], ids=["paper", "two-scale"])
def test_rows_are_taken_as_they_are_and_never_written_to(params: DenoiseParams) -> None:
    stack = frames(3)
    copy = stack.copy()
    stack.flags.writeable = False
    live = LiveDenoiser(SHAPE, params)
    for number, frame in enumerate(stack):
        shown = scan(live, number, frame, 24)
        shown.image[:] = 0  # the caller's own
    np.testing.assert_array_equal(stack, copy)
    assert np.nanmax(live.frame().image) > 0


def test_what_is_forgotten_has_half_the_weight_after_so_many_frames() -> None:
    live = LiveDenoiser(SHAPE, PAPER, 2)
    weights = [scan(live, k, frame).memory_weight for k, frame in enumerate(frames(5))]
    fade = 0.5**0.5
    np.testing.assert_allclose(weights, [0, 1, 1 + fade, 1 + fade + 0.5, 1 + fade + 0.5 + fade / 2])


def test_a_frame_that_broke_off_is_remembered_as_far_as_it_came() -> None:
    first, second = frames(2).astype(np.float64)
    params = DenoiseParams(method="paper", patch_size=5, threads=1)
    live = LiveDenoiser(SHAPE, params, None)
    live.update(first[:40])
    live.begin(4)
    live.update(second)
    shown = live.frame()
    assert shown.number == 4
    assert shown.memory_weight == pytest.approx(40 / 48)
    assert shown.verdict is not None
    assert shown.verdict.n_patches == (36 + 44) * 52


@pytest.mark.parametrize("params", [PAPER, TWO_SCALE], ids=["paper", "two-scale"])
def test_the_result_can_be_made_again_from_its_report(params: DenoiseParams) -> None:
    live = LiveDenoiser(LARGE, params)
    for number, frame in enumerate(frames(4, shape=LARGE)):
        shown = scan(live, number, frame)
    result = live.result()
    assert shown.noise_variance is not None
    difference = np.sqrt(np.mean((result.image - shown.image) ** 2) / shown.noise_variance)
    assert difference == 0 if params is PAPER else difference < 0.03
    np.testing.assert_array_equal(result.noisy, frame)
    assert result.noisy.dtype == np.uint16
    again, _ = replay(result.noisy, result.report, result.eigenpatches, threads=1)
    np.testing.assert_allclose(again, result.image, atol=1e-4 * np.abs(again).max())
    assert result.report.engine_reason == "a live frame"
    assert result.report.verdict


def test_two_scales_gain_from_the_frames_before() -> None:
    stack = frames(6, shape=LARGE)
    live = LiveDenoiser(LARGE, TWO_SCALE, None)
    gains = []
    for number, frame in enumerate(stack):
        shown = scan(live, number, frame)
        truth = specimen(LARGE, drift=number)
        gains.append(psnr(shown.image, truth) - psnr(denoise(frame, TWO_SCALE).image, truth))
    assert gains[0] == 0.0
    assert np.mean(gains[2:]) > 0.1


@pytest.mark.parametrize("block", [16, 50])
def test_rows_of_a_later_frame_are_denoised_by_the_lattice_that_is_known(block: int) -> None:
    stack = frames(3, shape=LARGE)
    live = LiveDenoiser(LARGE, TWO_SCALE, None)
    scan(live, 0, stack[0])
    scan(live, 1, stack[1])
    live.begin(2)
    truth = specimen(LARGE, drift=2)
    for first in range(0, 100, block):
        live.update(stack[2][first : first + block], first)
        shown = live.frame()
        there = shown.scanned
        assert np.isfinite(shown.image[there]).all()
        assert psnr(shown.image[there], truth[there]) > psnr(stack[2][there], truth[there]) + 3
    assert psnr(shown.image[there], truth[there]) > psnr(stack[2][there], truth[there]) + 8


@pytest.mark.parametrize("params", [PAPER, TWO_SCALE], ids=["paper", "two-scale"])
@pytest.mark.parametrize("block", [None, 32], ids=["whole", "in blocks"])
def test_another_scene_is_noticed_and_what_was_known_is_dropped(
    params: DenoiseParams, block: int | None
) -> None:
    live = LiveDenoiser(LARGE, params)
    for number, frame in enumerate(frames(4, shape=LARGE)):
        assert not scan(live, number, frame, block).scene_changed
    others = frames(2, shape=LARGE, period=13.1)
    shown = scan(live, 4, others[0], block)
    assert shown.scene_changed
    assert shown.memory_weight == 0.0
    alone = denoise(others[0], params).image
    np.testing.assert_allclose(shown.image, alone, rtol=0, atol=1e-4 * alone.max())
    following = scan(live, 5, others[1], block)
    assert not following.scene_changed
    assert following.memory_weight == 1.0


def test_other_noise_is_measured_anew() -> None:
    rng = np.random.default_rng(2)
    live = LiveDenoiser(LARGE, TWO_SCALE)
    truth = specimen(LARGE)
    for number in range(3):
        shown = scan(live, number, truth + rng.normal(0, 8.0, LARGE))
        assert not shown.scene_changed
    shown = scan(live, 3, truth + rng.normal(0, 12.0, LARGE))
    assert shown.scene_changed
    assert shown.noise_variance == pytest.approx(144, rel=0.1)


def test_a_blank_frame_is_shown_and_not_remembered() -> None:
    stack = frames(2)
    live = LiveDenoiser(SHAPE, PAPER, None)
    scan(live, 0, stack[0])
    shown = scan(live, 1, np.full(SHAPE, 7, np.uint16), 16)
    assert shown.blank
    np.testing.assert_array_equal(shown.image, 7)
    following = scan(live, 2, stack[1])
    assert following.memory_weight == 1.0
    assert not following.scene_changed
    with pytest.raises(ImageError, match="of one value"):
        scan(live, 3, np.full(SHAPE, 7, np.uint16)) and live.result()


def test_a_line_of_the_course_is_ready_for_json() -> None:
    live = LiveDenoiser(SHAPE, PAPER)
    told = scan(live, 3, frames(1)[0]).to_dict()
    assert told["number"] == 3
    assert told["rows"] == 48
    assert {type(value) for value in told.values()} <= {int, float, str, bool}


def test_the_memory_of_many_frames_is_bounded() -> None:
    gc.collect()
    others = [id(each) for each in gc.get_objects() if type(each) is Kept]
    live = LiveDenoiser(SHAPE, PAPER, None)
    stack = frames(4)
    for number in range(40):
        scan(live, number, stack[number % 4])
    gc.collect()
    held = [each for each in gc.get_objects() if type(each) is Kept]
    assert len([each for each in held if id(each) not in others]) == KEPT_FRAMES
    assert live.frame().memory_weight == 39.0


@pytest.mark.parametrize(
    ("rows", "first_row", "told"),
    [
        (np.zeros((4, 55), np.uint16), 0, r"shape \(4, 55\), expected \(k, 56\)"),
        (np.zeros((0, 56), np.uint16), 0, "at least one whole row"),
        (np.zeros(56, np.uint16), 0, r"shape \(56,\)"),
        (np.zeros((4, 56), np.uint16), 45, "rows 45 to 48, expected rows within 0 to 47"),
        (np.zeros((4, 56), np.uint16), -1, "expected rows within 0 to 47"),
        (np.zeros((4, 56), np.float32), 8, "rows of float32, expected uint16 as before"),
        (np.zeros((4, 56), np.complex64), 8, "expected integers or floats"),
        (np.zeros((4, 56), bool), 8, "expected integers or floats"),
    ],
)
def test_rows_that_do_not_fit_are_refused_and_change_nothing(
    rows: NDArray[Any], first_row: int, told: str
) -> None:
    live = LiveDenoiser(SHAPE, PAPER)
    live.update(frames(1)[0][:8])
    before = live.frame()
    with pytest.raises(ImageError, match=told):
        live.update(rows, first_row)
    after = live.frame()
    np.testing.assert_array_equal(after.image, before.image)
    np.testing.assert_array_equal(after.scanned, before.scanned)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf, 1e300])
def test_values_that_are_no_intensities_are_refused(bad: float) -> None:
    rows = np.ones((4, 56))
    rows[2, 3] = bad
    live = LiveDenoiser(SHAPE, PAPER)
    with pytest.raises(ImageError):
        live.update(rows)
    with pytest.raises(ImageError, match="expected some rows first"):
        live.frame()


def test_frame_numbers_only_grow() -> None:
    live = LiveDenoiser(SHAPE, PAPER)
    live.begin(5)
    live.begin(5)  # nothing of it has come
    live.update(frames(1)[0])
    for number in (5, 4, 0):
        with pytest.raises(ParameterError, match=f"got frame {number}, expected at least 6"):
            live.begin(number)
    live.begin(9)
    assert live.number == 9
    assert not live.scanned.any()
    with pytest.raises(ImageError, match="nothing of frame 9"):
        live.frame()
    with pytest.raises(ImageError, match="48 rows are missing"):
        live.result()


@pytest.mark.parametrize(
    ("params", "field"),
    [
        (DenoiseParams(stacks=2), "engine"),
        (DenoiseParams(engine="stacked"), "engine"),
        (DenoiseParams(deadline=1.0), "deadline"),
        (DenoiseParams(bias=True), "bias"),
        (DenoiseParams(patch_size=49), "patch_size"),
        (DenoiseParams(patch_size_from="nobody"), "patch_size_from"),
    ],
)
def test_parameters_that_live_frames_cannot_have_are_refused(
    params: DenoiseParams, field: str
) -> None:
    with pytest.raises(ParameterError) as refused:
        LiveDenoiser(SHAPE, params)
    assert refused.value.field == field


@pytest.mark.parametrize("memory_frames", [-1, np.nan, "8", True])
def test_a_half_life_is_a_number_of_frames(memory_frames: Any) -> None:
    with pytest.raises(ParameterError, match="memory_frames"):
        LiveDenoiser(SHAPE, PAPER, memory_frames)


def test_frames_that_are_too_small_or_too_large_are_refused() -> None:
    with pytest.raises(ParameterError, match="shape"):
        LiveDenoiser((2, 50), PAPER)
    with pytest.raises(MemoryBudgetError):
        LiveDenoiser((4096, 4096), DenoiseParams(method="paper", memory_budget=2**26))


def test_a_rule_for_the_patch_size_sees_whole_frames_alone() -> None:
    seen: list[tuple[int, ...]] = []

    def rule(image: NDArray[Any]) -> int:
        seen.append(image.shape)
        return 7

    live = LiveDenoiser(SHAPE, DenoiseParams(method="paper", patch_size=rule, threads=1))
    for number, frame in enumerate(frames(2)):
        shown = scan(live, number, frame, 16)
    assert shown.patch_size == 7
    assert set(seen) == {SHAPE}


def test_a_classifier_that_fails_loses_nothing() -> None:
    answers = [RuntimeError("no")]

    def classify(decomposition: Any) -> NDArray[np.float64]:
        if answers:
            raise answers.pop()
        return np.ones(len(decomposition.singular_values))

    live = LiveDenoiser(SHAPE, PAPER, classify=classify)
    live.update(frames(1)[0])
    with pytest.raises(RuntimeError):
        live.frame()
    assert live.frame().n_kept > 0


def test_a_frame_that_nothing_can_be_made_of_does_not_stop_the_next() -> None:
    answers = [RuntimeError("no")]

    def classify(decomposition: Any) -> NDArray[np.float64]:
        if answers:
            raise answers.pop()
        return np.ones(len(decomposition.singular_values))

    first, second = frames(2)
    live = LiveDenoiser(SHAPE, PAPER, classify=classify)
    live.update(first)
    with pytest.raises(RuntimeError):
        live.begin(1)
    assert live.number == 1
    live.update(second)
    shown = live.frame()
    assert shown.number == 1
    assert shown.memory_weight == 0.0


def test_frames_too_small_for_two_scales_are_shown_all_the_same() -> None:
    rng = np.random.default_rng(0)
    live = LiveDenoiser((9, 12), TWO_SCALE)
    for number in range(3):
        frame = rng.normal(20, 1, (9, 12))
        try:
            alone = denoise(frame, TWO_SCALE).image
        except ReucidError:
            continue
        np.testing.assert_allclose(scan(live, number, frame, 3).image, alone, rtol=1e-9)
