"""`reucid survey`, from files to labels."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import tifffile

from reucid_core.training.labels.survey_files import load_survey
from reucid_core.training.micrographs.crystals import CRYSTALS
from reucid_core.training.micrographs.recipes import Recipe, micrograph
from reucid_core.training.micrographs.simulate import View
from reucid_core.training.networks.card import survey_card
from reucid_core.training.networks.survey_fit import check_survey
from tests.support.commands import reucid


def test_export_and_import(tiff: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "survey"
    options = ("--patch-size", 7, "--max-eigenpatches", 5, "--blind", "--seed", 2)
    assert reucid("survey", "export", tiff, "--output", folder, *options) == 0
    assert "micrograph.tif: 80 x 96 px, patch size 7 (given), 1 to 5 of" in capsys.readouterr().out
    answers = tmp_path / "answers.csv"
    answers.write_text("respondent,image,alpha\nanna,micrograph.tif,5\n")
    labels = tmp_path / "labels.safetensors"
    assert reucid("survey", "import", folder, answers, "--output", labels) == 0
    printed = capsys.readouterr()
    assert "labels of 1 of 1 images" in printed.out
    assert "larger --max-eigenpatches" in " ".join(printed.err.split())
    (image,) = load_survey(labels)
    assert int(image.labels.sum()) == 5


def test_mistakes_are_named(tiff: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "survey"
    for arguments, message in (
        (("export", tmp_path / "no.tif", "-o", folder), "no file at"),
        (("export", tiff), "--output"),
        (("export", tiff, "-o", folder, "--patch-size", 8), "--patch-size: got 8, which is even"),
        (("export", tiff, "-o", folder, "--frame", 1), "--frame: got 1"),
        (("export", tiff, "-o", folder, "--patch-size-from", "no"), "--patch-size-from: got 'no'"),
        (("export", tiff, "-o", tmp_path.parent), "expected a new folder"),
        (("import", folder, tiff, "-o", tmp_path / "l.safetensors"), "survey export"),
        (("import", folder, tmp_path / "no.csv", "-o", tmp_path / "l.safetensors"), "no file at"),
        (("import", folder, tiff, "-o", tmp_path / "none" / "l.safetensors"), "no folder"),
    ):
        assert reucid("survey", *arguments) == 2
        assert message in capsys.readouterr().err
    assert not folder.exists()


def test_a_survey_loads_no_torch(tiff: Path, tmp_path: Path) -> None:
    code = (
        "import sys; from app.commands.survey import export; from pathlib import Path\n"
        f"export([Path({str(tiff)!r})], Path({str(tmp_path / 'survey')!r}), patch_size=5,"
        " patch_size_from=None, most=2, blind=False, seed=0, signal=None, frame=None)\n"
        "assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.fixture
def surveyed(tmp_path: Path) -> Path:
    """Three micrographs with their truths, a survey of them, and answers; one more to label."""
    for folder in ("noisy", "truths"):
        (tmp_path / folder).mkdir()
    for n, dose in enumerate((100, 1000, 10000, 3000)):
        view = View(shape=(48, 52), sampling=0.25, rotation=20)
        made = micrograph(Recipe(specimen=CRYSTALS["Si[110]"], view=view, dose=dose, seed=n))
        for folder, image in (("noisy", made.noisy), ("truths", made.specimen)):
            tifffile.imwrite(tmp_path / folder / f"{n}.tif", image.astype(np.float32))
    files = [tmp_path / "noisy" / f"{n}.tif" for n in range(3)]
    assert reucid("survey", "export", *files, "-o", tmp_path / "survey", "--patch-size", 5) == 0
    rows = [
        f"{kind} {n},{image}.tif,{alpha + n % 2},{kind}"
        for kind, number in (("expert", 4), ("other", 5))
        for n in range(number)
        for image, alpha in enumerate((3, 5, 7))
    ]
    header = "respondent,image,alpha,kind"
    (tmp_path / "answers.csv").write_text("\n".join([header, *rows]) + "\n")
    return tmp_path


def test_the_metric_is_fitted_and_labels_more(
    surveyed: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("skimage", reason="computes SSIM (extra `laboratory`)")
    labels = surveyed / "labels.safetensors"
    arguments = (surveyed / "survey", surveyed / "answers.csv", "--truths", surveyed / "truths")
    more = ("--label", surveyed / "noisy" / "3.tif", "--patch-size", 5, "-o", labels)
    assert reucid("survey", "metric", *arguments, *more) == 0
    printed = capsys.readouterr().out
    for expected in ("MSE", "SSIM", "fitted", "the paper's", "c = ", "labels of 4 images, 1 of"):
        assert expected in printed
    images = load_survey(labels)
    assert [each.respondents for each in images] == [9, 9, 9, 0]
    check_survey(images)  # it can be trained on
    assert survey_card(labels, images)["labelled_by_metric"] == 1


def test_the_metric_needs_truths(surveyed: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("skimage", reason="computes SSIM (extra `laboratory`)")
    arguments = (surveyed / "survey", surveyed / "answers.csv", "--truths", surveyed / "truths")
    output = surveyed / "labels.safetensors"
    for added, message in (
        (("-o", output), "expected both or neither"),
        (("--label", surveyed / "noisy" / "1.tif", "-o", output), "which has labels"),
        (("--label", surveyed / "truths" / "9.tif", "-o", output), "no file at"),
    ):
        assert reucid("survey", "metric", *arguments, *added) == 2
        assert message in capsys.readouterr().err
    (surveyed / "truths" / "1.tif").unlink()
    (surveyed / "truths" / "2.tif").unlink()
    assert reucid("survey", "metric", *arguments) == 2
    assert "got 1 image with answers and a truth" in capsys.readouterr().err
    (surveyed / "survey" / "images" / "01" / "noisy.tif").write_bytes(
        (surveyed / "truths" / "0.tif").read_bytes()
    )
    assert reucid("survey", "metric", *arguments) == 2
    assert "not the image that was decomposed" in capsys.readouterr().err
    assert not output.exists()


def test_kinds_are_shown_by_dose(surveyed: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("matplotlib", reason="draws (extra `plots`)")
    doses, picture = surveyed / "doses.csv", surveyed / "violins.png"
    doses.write_text("image,dose\n0.tif,100\n1.tif,1000\n2.tif,1000\n")
    arguments = (surveyed / "survey", surveyed / "answers.csv")
    assert reucid("survey", "show", *arguments, "--doses", doses, "-o", picture) == 0
    printed = capsys.readouterr().out
    assert "no difference shown" in printed
    assert picture.read_bytes().startswith(b"\x89PNG")
    doses.write_text("image,dose\n0.tif,100\n")
    assert reucid("survey", "show", *arguments, "--doses", doses) == 2
    assert "got no dose of 1.tif, 2.tif" in capsys.readouterr().err
