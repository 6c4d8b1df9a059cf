"""SER files of an EMI by their number, and metadata by the number in the name."""

from pathlib import Path

import numpy as np

from tests.support.field import writers as w
from tests.support.field.cases import case, read
from worker.decoding.inspection import companions_of

FLAT = np.ones(w.SHAPE, np.uint16)


@case("order", "emi")
def twelve_series_in_any_order(folder: Path) -> None:
    for number in range(1, 13):
        w.ser(folder / f"s_{number}.ser", [FLAT * (100 * number)])
    w.emi(folder / "s.emi", [w.emi_object(n, n * 1e-6) for n in range(1, 13)])
    for companions in (sorted(folder.glob("s_*.ser")), companions_of(folder / "s.emi")):
        decoded = read(folder / "s.emi", companions)
        assert [int(image.mean()) for image in decoded.pixels] == list(range(100, 1300, 100))
        dwells = [round((info.dwell_time or 0) * 1e6) for info in decoded.info.signals]
        assert dwells == list(range(1, 13))


@case("order", "emi")
def the_second_series_alone(folder: Path) -> None:
    w.ser(folder / "a_2.ser", [FLAT])
    w.emi(folder / "a.emi", [w.emi_object(1, 11e-6), w.emi_object(2, 48e-6)])
    info = read(folder / "a.emi", [folder / "a_2.ser"]).info.signals[0]
    assert (info.title, info.dwell_time) == ("image 2", 48e-6)


@case("order", "emi")
def names_of_a_store_keep_the_number(folder: Path) -> None:
    w.ser(folder / "companion-0002", [FLAT])
    w.emi(folder / "original", [w.emi_object(1, 11e-6), w.emi_object(2, 48e-6)])
    info = read(folder / "original", [folder / "companion-0002"]).info.signals[0]
    assert info.dwell_time == 48e-6


@case("order", "emi")
def a_series_that_the_emi_says_nothing_of(folder: Path) -> None:
    for number in (1, 3):
        w.ser(folder / f"a_{number}.ser", [FLAT])
    w.emi(folder / "a.emi", [w.emi_object(1, 11e-6)])
    companions = [folder / "a_1.ser", folder / "a_3.ser"]
    signals = read(folder / "a.emi", companions).info.signals
    assert [info.dwell_time for info in signals] == [11e-6, None]
