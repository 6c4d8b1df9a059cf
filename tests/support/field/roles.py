"""Axis roles come from the file, not from names or units."""

from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from tests.support import files
from tests.support.field import writers as w
from tests.support.field.cases import case, only, read
from worker.formats import FormatError

FILM = [("time", 1.0, "s", 0.0), ("y", 0.04, "n_m", 0.0), ("x", 0.02, "n_m", 0.0)]


@case("roles", "ncem")
def openncem_runs_time_y_x(folder: Path) -> None:
    for names in (True, False):
        path = folder / f"{names}.emd"
        w.openncem(path, w.counts(w.STACK), FILM, names=names)
        _film(path)


@case("roles", "ncem")
def openncem_counts_from_zero(folder: Path) -> None:
    w.openncem(folder / "a.emd", w.counts(w.STACK), FILM, first=0)
    _film(folder / "a.emd")


def _film(path: Path) -> None:
    decoded = read(path)
    (info,) = decoded.info.signals
    np.testing.assert_array_equal(decoded.pixels[0], w.counts(w.STACK))
    assert info.pixel_size == pytest.approx((0.04, 0.02))
    assert (info.unit, info.frame_step, info.frame_unit) == ("nm", 1.0, "s")


@case("roles", "ncem")
def hyperspy_writes_emd_backwards(folder: Path) -> None:
    files.write_ncem(folder / "a.emd", w.counts(w.STACK))
    np.testing.assert_array_equal(read(folder / "a.emd").pixels[0], w.counts(w.STACK))


@case("roles", "ncem")
def a_spectrum_map_in_emd(folder: Path) -> None:
    axes = [("y", 5.0, "n_m", 0.0), ("x", 5.0, "n_m", 0.0), ("Wavelength", 2.0, "n_m", 300.0)]
    w.openncem(folder / "a.emd", w.counts((12, 18, 30)), axes)
    _is_refused(folder / "a.emd", "spectrum image")


@case("roles", "hspy")
def a_map_of_spectra_in_nm(folder: Path) -> None:
    axes = [w.hspy_axis(name, 5.0, "nm", navigate=True) for name in "yx"]
    axes.append(w.hspy_axis("Wavelength", 2.0, "nm"))
    w.hspy(folder / "a.hspy", w.counts((12, 18, 30)), axes, signal={"signal_type": "Luminescence"})
    _is_refused(folder / "a.hspy", "spectrum image")


@case("roles", "hspy")
def a_map_of_unnamed_spectra(folder: Path) -> None:
    """Nothing but `navigate` tells it from a stack."""
    axes = [w.hspy_axis("", 5.0, "nm", navigate=flag) for flag in (True, True, False)]
    w.hspy(folder / "a.hspy", w.counts((12, 18, 30)), axes)
    _is_refused(folder / "a.hspy", "spectrum image")


@case("roles", "hspy")
def a_line_of_spectra(folder: Path) -> None:
    axes = [w.hspy_axis("x", 5.0, "nm", navigate=True), w.hspy_axis("", 1.0, "nm")]
    w.hspy(folder / "a.hspy", w.counts(), axes)
    _is_refused(folder / "a.hspy", "line of spectra")


@case("roles", "hspy")
def a_spectrum(folder: Path) -> None:
    w.hspy(folder / "a.hspy", w.counts((50,)), [w.hspy_axis("Energy", 0.1, "eV")])
    _is_refused(folder / "a.hspy", "spectrum or profile of 50 values")


@case("roles", "hspy")
def record_by_of_older_files(folder: Path) -> None:
    axes = [w.hspy_axis("", 5.0, "nm") for _ in range(3)]
    for axis in axes:
        del axis["navigate"]
    signal = {"signal_type": "", "record_by": "spectrum"}
    w.hspy(folder / "a.hspy", w.counts((12, 18, 30)), axes, signal=signal)
    _is_refused(folder / "a.hspy", "spectrum image")
    w.hspy(folder / "b.hspy", w.counts((12, 18, 30)), axes, signal=signal | {"record_by": "image"})
    assert only(folder / "b.hspy").shape == (12, 18, 30)


@case("roles", "hspy")
def frames_last_in_the_array(folder: Path) -> None:
    axes = [w.hspy_axis("y", 0.1, "nm"), w.hspy_axis("x", 0.2, "nm")]
    axes.append(w.hspy_axis("t", 2.0, "s", navigate=True))
    turned = np.moveaxis(w.counts(w.STACK), 0, -1)
    w.hspy(folder / "a.hspy", np.ascontiguousarray(turned), axes)
    decoded = read(folder / "a.hspy")
    np.testing.assert_array_equal(decoded.pixels[0], w.counts(w.STACK))
    info = decoded.info.signals[0]
    assert (info.pixel_size, info.frame_step, info.frame_unit) == ((0.1, 0.2), 2.0, "s")


@case("roles", "dm3")
def dm3_spectra_by_format(folder: Path) -> None:
    _spectra_of_dm(folder / "a.dm3", 3)


@case("roles", "dm4")
def dm4_spectra_by_format(folder: Path) -> None:
    _spectra_of_dm(folder / "a.dm4", 4)


def _spectra_of_dm(path: Path, version: int) -> None:
    image = files.dm_image(w.counts((30, 12, 18)), units=("nm", "nm", ""))
    image["ImageTags"] = {"Meta Data": {"Format": "Spectrum image", "Signal": "CL"}}
    path.write_bytes(files.DigitalMicrograph(version).file([image]))
    _is_refused(path, "spectrum image")


@case("roles", "ser")
def spectra_of_tia(folder: Path) -> None:
    w.ser(folder / "a_1.ser", [w.counts((2049,))], spectra=True)
    _is_refused(folder / "a_1.ser", "a spectrum of TIA")


@case("roles", "emi")
def spectra_beside_images(folder: Path) -> None:
    w.ser(folder / "a_1.ser", [w.counts((2049,))] * 4, spectra=True)
    w.ser(folder / "a_2.ser", [w.counts()])
    w.emi(folder / "a.emi", [w.emi_object(1, 1e-6), w.emi_object(2, 2e-6)])
    contents = read(folder / "a.emi", [folder / "a_1.ser", folder / "a_2.ser"]).info
    assert [info.title for info in contents.signals] == ["image 2"]
    assert "4 spectra of TIA" in contents.skipped[0].reason


@case("roles", "hdf5")
def arrays_by_path_and_none_by_default(folder: Path) -> None:
    """As atomap, TEMUL and AICrystallographer keep lattices."""
    arrays: dict[str, Any] = {
        "image_data": w.counts().astype(np.float64),
        "sublattice/original_image": w.counts(seed=6).astype(np.float32),
        "stack": w.counts(w.STACK),
        "atom_positions": w.counts((40, 2)).astype(np.float64),
        "colours": w.counts((20, 20, 3)),
        "scan": w.counts((4, 4, 12, 18)),
        "profile": w.counts((50,)),
    }
    _write(folder / "a.h5", arrays)
    decoded = read(folder / "a.h5")
    contents = decoded.info
    listed = {
        info.title: pixels for info, pixels in zip(contents.signals, decoded.pixels, strict=True)
    }
    assert sorted(listed) == ["image_data", "stack", "sublattice/original_image"]
    for name, pixels in listed.items():
        np.testing.assert_array_equal(pixels, arrays[name])
    assert {info.pixel_size for info in contents.signals} == {None}
    assert contents.default is None
    assert sorted(each.title for each in contents.skipped) == ["atom_positions", "colours", "scan"]


@case("roles", "hdf5")
def one_array_is_the_image(folder: Path) -> None:
    _write(folder / "a.h5", {"image": w.counts(), "profile": w.counts((50,))})
    contents = read(folder / "a.h5").info
    assert (contents.default, len(contents.signals)) == (0, 1)


def _write(path: Path, arrays: dict[str, Any]) -> None:
    with h5py.File(path, "w") as file:
        for name, array in arrays.items():
            file[name] = array


def _is_refused(path: Path, why: str) -> None:
    with pytest.raises(FormatError, match=why):
        read(path)
