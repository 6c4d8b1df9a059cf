"""Peaks are those of `scipy.signal.find_peaks`."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.typing import NDArray
from scipy.signal import find_peaks, peak_prominences

from reucid_core.peaks import peaks, prominence_of

FEW_VALUES = st.integers(-3, 3).map(float)  # so that flat tops and equal peaks are common
ANY_VALUES = st.floats(-1e3, 1e3, allow_subnormal=False)
PROFILES = st.sampled_from([FEW_VALUES, ANY_VALUES]).flatmap(
    lambda values: hnp.arrays(np.float64, st.integers(3, 40), elements=values)
)


@given(PROFILES, st.floats(0, 4))
def test_peaks_are_those_of_scipy(profile: NDArray[np.float64], least: float) -> None:
    bound = np.linspace(least, 0, len(profile))
    expected, _ = find_peaks(profile, prominence=bound)
    assert list(peaks(profile, bound)) == list(expected)


@given(PROFILES)
def test_prominence_is_that_of_scipy(profile: NDArray[np.float64]) -> None:
    found, _ = find_peaks(profile)
    expected = peak_prominences(profile, found)[0]
    assert [prominence_of(int(peak), profile) for peak in found] == list(expected)


def test_a_rising_a_falling_and_a_flat_profile_have_no_peak() -> None:
    rising = np.arange(9.0)
    for profile in (rising, -rising, 0 * rising):
        assert list(peaks(profile, np.zeros(9))) == []
