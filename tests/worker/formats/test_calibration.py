"""Each axis by its own unit, whatever the other's is."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker.formats.calibration import Axis, Calibration, calibrated
from worker.formats.units import NANOMETRES, RECIPROCAL_NANOMETRES, canonical

lengths = st.sampled_from(sorted(NANOMETRES))
reciprocals = st.sampled_from(sorted(RECIPROCAL_NANOMETRES))
steps = st.floats(1e-6, 1e6)
places = st.floats(-1e6, 1e6)
nothing = st.sampled_from([None, 0.0, math.nan, math.inf, "", "much"])
uncalibrated = st.sampled_from([None, "", "px", "pixel", "<undefined>", "inch", b"\0"])


@given(steps, lengths, places, steps, lengths, places)
def test_lengths_are_converted_axis_by_axis(
    height: float, rows: str, top: float, width: float, columns: str, left: float
) -> None:
    found = calibrated(Axis(height, rows, top), Axis(width, columns, left))
    assert found.pixel_size is not None
    factor = NANOMETRES[found.unit or ""]
    sides = (height * NANOMETRES[rows], width * NANOMETRES[columns])
    assert [side * factor for side in found.pixel_size] == pytest.approx(sides, rel=1e-9)
    begins = [place * factor for place in found.origin or (0.0, 0.0)]
    assert begins == pytest.approx(
        (top * NANOMETRES[rows], left * NANOMETRES[columns]), rel=1e-9, abs=1e-300
    )


@given(steps, reciprocals, steps, reciprocals)
def test_reciprocal_lengths_too(height: float, rows: str, width: float, columns: str) -> None:
    found = calibrated(Axis(height, rows), Axis(width, columns))
    assert found.pixel_size is not None
    factor = RECIPROCAL_NANOMETRES[found.unit or ""]
    sides = (height * RECIPROCAL_NANOMETRES[rows], width * RECIPROCAL_NANOMETRES[columns])
    assert [side * factor for side in found.pixel_size] == pytest.approx(sides, rel=1e-9)


@given(steps, lengths, steps, reciprocals | st.just("s") | st.just("deg") | uncalibrated)
def test_what_has_nothing_in_common_is_uncalibrated_and_said(
    height: float, rows: str, width: float, columns: str | bytes | None
) -> None:
    for axes in (
        (Axis(height, rows), Axis(width, columns)),
        (Axis(width, columns), Axis(height, rows)),
    ):
        found = calibrated(*axes)
        assert (found.pixel_size, found.unit, found.origin) == (None, None, None)
        assert len(found.notes) == 1


@given(nothing, lengths, steps, uncalibrated)
def test_what_states_nothing_is_nothing(
    step: float | str | None, unit: str, scale: float, none: str | bytes | None
) -> None:
    assert calibrated(Axis(step, unit), Axis(scale, none), Axis(step, "s")) == Calibration()


@pytest.mark.parametrize(
    ("spelling", "unit"),
    [("um", "µm"), ("μm", "µm"), (b"\xb5m", "µm"), ("[n_m]", "nm"), ("1 / nm", "1/nm"), ("A", "Å")],
)
def test_spellings(spelling: str | bytes, unit: str) -> None:
    assert canonical(spelling) == unit
