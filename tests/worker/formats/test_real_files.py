"""Files that microscopes wrote, where there are some; the repository holds none."""

from pathlib import Path

import numpy as np
import pytest

from reucid_core import DenoiseParams, denoise
from reucid_core.classifier import load_classifier
from tests import formats_table
from tests.support.places import ROOT
from worker.decoding.inspection import companions_of, inspect_file
from worker.formats import reading
from worker.formats.units import in_nanometres

NOISY = ROOT / "app" / "commands" / "demo" / "si110_low_dose.tif"
MEAN_KEPT = 2e-4  # of the mean intensity; docs/formats.md says so

# Shape, pixel in nm, beam energy in keV, dwell time in µs, as they are read. What notes beside the
# files give as well agrees; the others tell a change from what was read before.
KNOWN = {
    "sto_titan80_1024.emi": ((1024, 1024), 0.0100127, 80, 29),
    "ncem_acq18_1024.emd": ((1024, 1024), 0.0122465, 200, 1),
    "talos_velox_haadf_512.emd": ((512, 512), 5.30241, 200, 20),
    "haadf_scannoise_512.dm3": ((512, 512), 0.0177516, 300, 32.4),
    "tilt_series_haadf_91f.dm3": ((91, 64, 64), 17.9949, 300, 32.5),
    "np_preview_5f_128.ser": ((5, 128, 128), 0.384352, None, None),
    "bto_jeol_avg_wf_469.dm4": ((413, 469), 0.0296599, None, None),
    "perovskite_interface_survey_512.dm3": ((512, 512), None, 200, 31.5),
    "srtio3_osiris_512.tif": ((512, 512), 0.0135172, None, None),
    "de_haadf_16.mrc": ((16, 16), 5.67913, None, None),
}


@pytest.mark.parametrize("name", KNOWN)
def test_what_is_known_of_a_file(real_images: Path, name: str) -> None:
    shape, side, energy, dwell = KNOWN[name]
    if not (real_images / name).exists():
        pytest.skip(f"no {name}")
    contents = inspect_file(real_images / name)
    info = contents.signals[contents.default]
    assert (info.shape, info.beam_energy) == (shape, energy)
    assert info.dwell_time == (None if dwell is None else pytest.approx(dwell * 1e-6, rel=1e-3))
    if side is None:
        assert info.pixel_size is None
    else:
        assert info.pixel_size is not None
        assert in_nanometres(info.pixel_size, info.unit) == pytest.approx((side, side), rel=1e-5)


def test_the_documents_table_is_up_to_date(real_images: Path) -> None:
    expected = formats_table.rendered_document(real_images)
    assert formats_table.DOCUMENT.read_text(encoding="utf-8") == expected, "run `make formats`"


def test_mean_intensity_of_the_bundled_micrograph_is_preserved() -> None:
    (pixels,) = reading.read(NOISY, max_pixels=2**28).pixels
    image = denoise(pixels, DenoiseParams(threads=1), classify=load_classifier()).image
    assert image.mean(dtype=np.float64) == pytest.approx(pixels.mean(), rel=MEAN_KEPT)


def test_mean_intensity_is_preserved(real_images: Path) -> None:
    classify = load_classifier()
    for path in sorted(real_images.iterdir()):
        decoded = reading.read(path, max_pixels=2**28, companions=companions_of(path))
        pixels = decoded.pixels[decoded.info.default]
        frame = pixels[0] if pixels.ndim == 3 else pixels
        image = denoise(frame[:512, :512], DenoiseParams(threads=1), classify=classify).image
        before = frame[:512, :512].mean(dtype=np.float64)
        assert image.mean(dtype=np.float64) == pytest.approx(before, rel=MEAN_KEPT), path.name
