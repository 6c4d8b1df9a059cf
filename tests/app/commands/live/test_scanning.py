"""The microscope of `reucid live simulate`."""

from datetime import timedelta
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.commands.live.scanning import Film, scan, specimens
from reucid_core.errors import ParameterError

SIDE = 24


class Time:
    """A clock that a wait, or somebody's work, moves on."""

    def __init__(self) -> None:
        self.now = 100.0

    def clock(self) -> float:
        return self.now

    def pass_by(self, seconds: float) -> None:
        self.now += seconds


@pytest.fixture(scope="module")
def film() -> Film:
    chosen = specimens(
        ["Si[110]", "MgO[100]"], shape=(SIDE, SIDE), drift=0.5, dose=100, measured=True, seed=1
    )
    return Film(chosen, 10)


@given(at_a_time=st.integers(1, 2 * SIDE), rate=st.floats(1, 100))
@settings(max_examples=20, deadline=None)
def test_rows_come_in_order_and_no_sooner_than_they_are_scanned(
    film: Film, at_a_time: int, rate: float
) -> None:
    time = Time()
    blocks = []
    for block in scan(
        film,
        number=4,
        seconds=1 / rate,
        at_a_time=at_a_time,
        clock=time.clock,
        sleep=time.pass_by,
    ):
        due = (block.frame + (block.first_row + len(block.rows)) / SIDE) / rate
        assert time.now - 100.0 == pytest.approx(due)
        blocks.append(block)
    for number in range(4):
        rows = [block.rows for block in blocks if block.frame == number]
        np.testing.assert_array_equal(np.concatenate(rows), film[number])
    times = [block.captured_at for block in blocks]
    assert times == sorted(times)
    assert times[-1] - times[0] < timedelta(seconds=4 / rate)
    assert all(a.frame <= b.frame for a, b in pairwise(blocks))


def test_a_microscope_does_not_wait_for_who_is_slow(film: Film) -> None:
    time = Time()
    frames = []
    for block in scan(
        film, number=10, seconds=0.1, at_a_time=SIDE, clock=time.clock, sleep=time.pass_by
    ):
        frames.append(block.frame)
        time.pass_by(0.25)
    assert frames[0] == 0
    assert frames[-1] == 9
    assert len(frames) in (4, 5)


def test_or_does_where_nothing_may_be_left_out(film: Film) -> None:
    time = Time()
    frames = []
    for block in scan(
        film,
        number=10,
        seconds=0.1,
        at_a_time=SIDE,
        waits=True,
        clock=time.clock,
        sleep=time.pass_by,
    ):
        frames.append(block.frame)
        time.pass_by(0.25)
    assert frames == list(range(10))


def test_the_second_specimen_comes_in_the_second_half(film: Film) -> None:
    assert film[4].dtype == np.uint16
    assert np.corrcoef(film[0].ravel(), film[1].ravel())[0, 1] > 0.1
    assert (film[0] == film[8]).all() or np.corrcoef(film[0].ravel(), film[7].ravel())[0, 1] < 0.5


def test_frames_that_were_made_come_back_in_reverse() -> None:
    (one,) = specimens(["Si[110]"], shape=(16, 16), drift=0.5, dose=100, measured=False, seed=1)
    film = Film([one], 100)
    for number in range(100):
        assert (film[number] == film[number + 46]).all()  # forth and back over 24
    np.testing.assert_array_equal(film[22], film[24])
    assert (film[22] != film[23]).any()


def test_a_wrong_material_names_all() -> None:
    with pytest.raises(ParameterError, match=r"expected one of .*Si\[110\]"):
        specimens(["Pb"], shape=(16, 16), drift=0.5, dose=100, measured=False, seed=1)
