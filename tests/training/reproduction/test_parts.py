"""What the reproduction computes, against definitions."""

import csv
import re
from pathlib import Path

import numpy as np
import pytest

from reucid_core.errors import ImageError
from reucid_core.training.reproduction import doses, lines, page, rivals
from reucid_core.training.reproduction.denoisers import PAPER, Merits, gaussian_as_strong
from reucid_core.training.reproduction.parts import NAMES, Part, Table
from reucid_core.training.reproduction.specimens import SILICON, recipes_of
from reucid_core.training.showing.score_tables import PAPER_TABLE_1

RNG = np.random.default_rng(2)
Y, X = np.mgrid[:96, :90]
TRUTH = (1 + np.cos(X / 2)) * (1 + np.cos(Y / 2.3)) / 4
NOISY = TRUTH + RNG.normal(0, 0.1, TRUTH.shape)


def test_doses_are_the_papers_and_show_one_field() -> None:
    found = recipes_of(SILICON)
    assert [each.dose for each in found] == list(PAPER_TABLE_1)
    assert len({each.view for each in found}) == 1
    assert len({each.seed for each in found}) == len(found)
    assert {each.read_noise for each in found} == {0.05}


def test_merits_tell_lost_signal_from_noise() -> None:
    pytest.importorskip("skimage", reason="computes SSIM (extra `laboratory`)")
    dimmed = TRUTH.mean() + 0.7 * (TRUTH - TRUTH.mean())
    found = Merits.of(dimmed, NOISY, TRUTH)
    assert found.signal == pytest.approx(0.3)
    whole = Merits.of(TRUTH + 1e-3, NOISY, TRUTH)
    assert whole.signal == pytest.approx(0, abs=1e-9)
    assert whole.taken == pytest.approx(1)


@pytest.mark.parametrize("sigma", [0.6, 1.3])
def test_the_gaussian_takes_as_much_away(sigma: float) -> None:
    from scipy.ndimage import gaussian_filter

    smoothed = gaussian_filter(NOISY, sigma)
    again, found = gaussian_as_strong(NOISY, smoothed)
    assert found == pytest.approx(sigma, abs=0.01)
    assert np.std(NOISY - again) == pytest.approx(np.std(NOISY - smoothed), rel=1e-2)


def test_a_reading_of_table_1_beside_the_noisy_image() -> None:
    pytest.importorskip("skimage", reason="computes SSIM (extra `laboratory`)")
    psnr, ssim, ief = doses._beside_noisy(TRUTH, NOISY, TRUTH)
    noise = np.mean((NOISY - TRUTH) ** 2)
    assert psnr == pytest.approx(10 * np.log10(np.ptp(NOISY) ** 2 / noise))
    assert ief == pytest.approx(1)
    assert 0 < ssim < 1


def test_what_nobody_made_of_the_micrograph_is_refused() -> None:
    truth = rivals.benchmark().specimen
    rivals.check_beside({"network": truth})
    for image, message in (
        (truth[1:], "got an image of"),
        (np.zeros_like(truth), "without contrast"),
        (np.where(truth > 0.9, np.nan, truth), "not finite"),
        (truth[::-1], "correlates with the truth by"),
    ):
        with pytest.raises(ImageError, match=message):
            rivals.check_beside({"network": image})


def test_a_real_image_has_its_line_and_no_truth() -> None:
    line = lines.real((1000 * NOISY).astype(np.uint16))
    assert list(line.images) == ["noisy", *line.restored]
    assert PAPER in line.restored
    (start, end) = np.array(line.ends)
    np.testing.assert_allclose((start + end) / 2, [48, 45])
    assert np.hypot(*(end - start)) == pytest.approx(2 * 36)
    table = lines._figures("fig7-x", line)
    assert table.head == ["image", "contrast"]
    assert table.rows[0] == ["noisy", 1.0]


def test_the_page_shows_parts_and_escapes(tmp_path: Path) -> None:
    table = Table("t", "a <b>", ("name", "value"), [["<i>", 0.123456], ["j", 2.0]])
    hidden = Table("h", "profile", ("x",), [[1.0]], shown=False)
    part = Part(
        "fig2", "Fig. 2 & more", "said", ["differs"], {"p.png": "drawn"}, [table, hidden], ["f.tif"]
    )
    text = page.write([part], [1.6], tmp_path, "reucid reproduce").read_text()
    assert "<i>" not in text
    assert ">0.1235<" in text
    assert "profile" not in text
    assert set(re.findall(r'(?:src|href)="([^"]+)"', text)) == {
        *("#fig2", "p.png", "t.csv", "h.csv", "f.tif"),
    }
    assert not re.search(r"https?://|<script", text)
    with table.write(tmp_path).open(newline="") as file:
        assert list(csv.reader(file)) == [["name", "value"], ["<i>", "0.123456"], ["j", "2.0"]]
    assert "fig2" in NAMES
